"""A MONAI bundle: a folder that predicts from scans as they come, wherever MONAI is."""

import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contrasweep.trainers import checkpoint
from contrasweep.trainers.exports.base import FORMATS, Exportable, Graph
from contrasweep.trainers.package import copy_package
from contrasweep.trainers.served.card import CARD, INTENDED, card, licence, origin
from contrasweep.trainers.served.config import FILE
from contrasweep.trainers.served.model import FILES
from contrasweep.trainers.served.monai_workflow import OUTLINE, PREPARATION, WEIGHTS, load_network

_SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
_BASE = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
_NOT_NEEDED = ("contrasweep", "mlflow")
_CODE = "contrasweep.trainers.served.monai_workflow"
_LICENSE = """The licence of this model - its weights, and what they owe to the data of its training - is:
{}.
Where none is stated, ask whoever gave it to you.

The code in contrasweep/ is a part of contrasweep, under the Apache License 2.0:
https://www.apache.org/licenses/LICENSE-2.0
"""
_INFERENCE = {
    "bundle_root": ".",
    "dataset_dir": "scans",
    "participants": None,
    "image": None,
    "output_file": "predictions.tsv",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "network_def": {"_target_": f"{_CODE}.load_network", "bundle_root": "@bundle_root"},
    "dataset": {
        "_target_": f"{_CODE}.Scans",
        "bundle_root": "@bundle_root",
        "network": "@network_def",
        "dataset_dir": "@dataset_dir",
        "participants": "@participants",
        "image": "@image",
    },
    "inferer": {"_target_": "SimpleInferer"},
    "evaluator": {
        "_target_": f"{_CODE}.Evaluator",
        "scans": "@dataset",
        "network": "@network_def",
        "inferer": "@inferer",
        "device": "@device",
        "output_file": "@output_file",
    },
    "run": ["$@evaluator.run()"],
}


@FORMATS.register("monai-bundle")
class MonaiBundle:
    """A folder for `python -m monai.bundle run`: graph, what prepares scans, and the code that both are built with."""

    packages: tuple[str, ...] = ()

    def write(self, model: Exportable, path: Path) -> None:
        """As `Format.write`."""
        weights, outline, prepares = path / WEIGHTS, path / OUTLINE, path / PREPARATION
        for folder in (weights.parent, prepares, path / "configs", path / "docs"):
            folder.mkdir(parents=True)
        checkpoint.save(weights, model.folded.state_dict())
        outline.write_text(model.folded.outline.model_dump_json(indent=1))
        shutil.copyfile(model.folder / FILE, prepares / FILE)
        if (model.folder / FILES).is_dir():
            shutil.copytree(model.folder / FILES, prepares / FILES)
        copy_package(path)
        (path / "configs" / "metadata.json").write_text(json.dumps(_metadata(model), indent=1))
        (path / "configs" / "inference.json").write_text(json.dumps(_INFERENCE, indent=1))
        (path / "docs" / "README.md").write_text(_card(model))
        (path / "LICENSE").write_text(_LICENSE.format(licence(model.config)))

    def read(self, path: Path) -> Graph:
        """As `Format.read`."""
        return load_network(str(path))


def _metadata(model: Exportable) -> dict[str, Any]:
    """As MONAI's schema of a bundle's metadata has it. No text begins with the study's: MONAI runs those with a $."""
    config, told = model.config, model.description()
    image, *beside = told["inputs"]
    inputs = {"image": _tensor("image", image, config.image_shape[0], config.image_shape[1:])}
    if beside:
        inputs["covariates"] = _tensor("array", beside[0], len(beside[0]["columns"]), ())
    libraries = {name: of for name, of in config.versions.items() if name not in (*_BASE.values(), *_NOT_NEEDED)}
    return {
        "schema": _SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported from {config.sweep}"},
        **{field: config.versions.get(library, version(library)) for field, library in _BASE.items()},
        "required_packages_version": libraries,
        "name": config.sweep,
        "task": f"Predict {config.data.label} from prepared images",
        "description": origin(config, model.runs),
        "authors": "not stated",
        "copyright": f"licence: {licence(config)}",
        "intended_use": INTENDED,
        "pred_classes": f"The value of {config.data.label}, in {config.data.in_unit}",
        "network_data_format": {"inputs": inputs, "outputs": {"pred": _tensor("array", told["outputs"][0], 1, ())}},
    }


def _tensor(kind: str, told: dict[str, Any], channels: int, sides: Sequence[int]) -> dict[str, Any]:
    shape = {"num_channels": channels, "spatial_shape": list(sides)}
    named = {"channel_def": {"0": told["name"]}} if channels == 1 else {}
    return {"type": kind, "format": told["name"], **shape, "dtype": told["dtype"], "value_range": [], **named}


def _card(model: Exportable) -> str:
    """The model's card, and how it is run as a bundle."""
    kept = model.folder / CARD
    told = kept.read_text() if kept.is_file() else card(model.config, model.runs)
    return f"""{told}
## Running it as a MONAI bundle

    pip install 'monai[fire]=={model.config.versions.get("monai", version("monai"))}'    # and what metadata.json says
    python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_file predictions.tsv

in this folder; elsewhere with `--bundle_root` as well. SCANS is a folder in which each file or folder is a scan, or a
scan's file. `--participants TABLE` names a table in its place, `--image '{{participant_id}}.nii.gz'` where images are
from its folder. A scan that cannot be used has a reason in place of a prediction.
"""
