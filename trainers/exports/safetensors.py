"""safetensors: the weights alone, which nothing is run to read."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save

from contrasweep.trainers.exports.base import FORMATS, Exportable, Graph
from contrasweep.trainers.served.folded import Folded, Outline


@FORMATS.register("safetensors")
class Safetensors:
    """The tensors of `Folded`; among the metadata are `Exportable.description` and what it is built from, `outline`."""

    packages: tuple[str, ...] = ()

    def write(self, model: Exportable, path: Path) -> None:
        """As `Format.write`."""
        told = {
            "format": "pt",
            "contrasweep": json.dumps(model.description()),
            "outline": model.folded.outline.model_dump_json(),
        }
        tensors = {name: tensor.contiguous() for name, tensor in model.folded.state_dict().items()}
        path.write_bytes(save(tensors, told))

    def read(self, path: Path) -> Graph:
        """As `Format.read`."""
        with safe_open(path, "pt") as file:
            folded = Folded(Outline.model_validate_json(file.metadata()["outline"]))
        folded.load_state_dict(load_file(path))
        return folded
