"""The model that a sweep leaves: an MLflow model that takes scans as they come, and predicts the mean over runs."""

import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.stores.mlflow import quieten_mlflow
from contrasweep.trainers.atomic import placing
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.package import copy_package
from contrasweep.trainers.served import Detectors, ServedConfig, save_served
from contrasweep.trainers.served.card import licence

_LIBRARIES = (
    *("av", "einops", "monai", "nibabel", "numpy", "pandas", "pillow", "psutil", "pyarrow", "pydantic", "pydicom"),
    *("scikit-image", "scikit-learn", "scipy", "simpleitk", "torch", "universal-pathlib"),
)
"""What `trainers.served` imports, for whoever serves the model elsewhere."""
_SERVED = "ensemble"


def served_in(model: Path) -> Path:
    """The served model's folder in that of an MLflow model that `export_model` wrote."""
    return model / "artifacts" / _SERVED


def versions() -> dict[str, str]:
    """Of what a model is made with. A build such as +cpu is of this machine; the public version is found anywhere."""
    return {name: version(name).partition("+")[0] for name in ("contrasweep", "mlflow", *_LIBRARIES)}


def export_model(
    folder: Path,
    members: Mapping[Replicate, tuple[RunConfig, Path]],
    config: ServedConfig,
    base: Path,
    covariates: Covariates | None = None,
    detectors: Detectors | None = None,
    how_well: str = "",
) -> None:
    """Write `folder`, an MLflow model of runs, each with its `best.pt`; it replaces another.

    `base` is what files in the transforms of `config.data` are relative to; `how_well` goes into its card. See
    `served_model` for its inputs.
    """
    quieten_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    inputs = []
    for name in config.trained.sources:
        behind = f"_{name}" if name else ""
        inputs.append(ColSpec("string", f"path{behind}", required=False))
        inputs += [ColSpec(AnyType(), f"{column}{behind}", required=False) for column in ("image", "affine")]
    levels = covariates.levels if covariates else {}
    read = {
        **{column: "double" for column in build_transforms(config.data.transforms, base).columns},
        **{column: "string" if categories else "double" for column, categories in levels.items()},
    }
    inputs += [ColSpec(kind, column) for column, kind in read.items()]
    outputs = [ColSpec("double", name) for name in ("prediction", "sd", "low", "high")]
    outputs.append(ColSpec("string", "unlike"))
    # Recorded, and so not shown: MLflow's advice to infer the signature, which is given here.
    with tempfile.TemporaryDirectory() as scratch, placing(folder) as free, warnings.catch_warnings(record=True):
        ensemble = Path(scratch) / _SERVED
        named = {file_of(run): member for run, member in members.items()}
        save_served(ensemble, named, config, base, detectors, how_well)
        save_model(
            free,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={_SERVED: str(ensemble)},
            code_paths=[str(copy_package(Path(scratch)))],
            signature=ModelSignature(Schema(inputs), Schema(outputs)),
            metadata={"label": config.data.label, "unit": config.data.unit, "licence": licence(config)},
            pip_requirements=[f"{name}=={config.versions[name]}" for name in ("mlflow", *_LIBRARIES)],
        )


def file_of(run: Replicate) -> str:
    """A run's name in a served model: `seed-0` where there is one for each seed, from which other sweeps may start."""
    return Replicate(run.seed).slug if run.fold == REFIT else run.slug
