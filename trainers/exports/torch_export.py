"""torch.export: a graph that torch runs without our code."""

import json
from pathlib import Path
from typing import cast

import torch

from contrasweep.trainers.exports._program import traced
from contrasweep.trainers.exports.base import FORMATS, Exportable, Graph


@FORMATS.register("torch-export")
class TorchExport:
    """A .pt2 for `torch.export.load(path).module()`, with `Exportable.description` in it as `contrasweep.json`."""

    packages: tuple[str, ...] = ()

    def write(self, model: Exportable, path: Path) -> None:
        """As `Format.write`."""
        program, told = traced(model), json.dumps(model.description())
        with path.open("wb") as file:
            torch.export.save(program, file, extra_files={"contrasweep.json": told})

    def read(self, path: Path) -> Graph:
        """As `Format.read`."""
        with path.open("rb") as file:
            return cast(Graph, torch.export.load(file).module())
