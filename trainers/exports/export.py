"""Writing a served model in a format, checked before it is where it was asked for."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers import exports
from contrasweep.trainers.atomic import placing
from contrasweep.trainers.covariates import Cells, Covariates
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.exports.base import Exportable, Graph
from contrasweep.trainers.inference import load_ensemble
from contrasweep.trainers.weighted import weighted_mean

TOLERANCE = 1e-4
"""How far predictions of what was written may be from the model's, in the label's unit."""
_IMAGES = 3


@dataclass(frozen=True)
class Examples:
    """Random prepared images [N, C, *S], covariates [N, K] where there are any, and what the model says of each [N]."""

    images: Tensor
    covariates: Tensor | None
    said: NDArray[np.float64]

    @classmethod
    def draw(cls, model: Exportable) -> "Examples":
        """As bright as the images of training, as far as the model knows; the same ones each time."""
        rng = np.random.default_rng(0)
        members, outline = load_ensemble(model.folder), model.folded.outline
        first = next(iter(members.values()))
        images = rng.standard_normal((_IMAGES, *outline.image_shape))
        if scale := first.normalization:
            shape = (-1, *[1] * (images.ndim - 2))
            images = images * np.reshape(scale.std, shape) + np.reshape(scale.mean, shape)
        images = images.astype(np.float32)
        known = first.covariates
        cells = [_drawn(known, rng) for _ in images] if known else []
        inferred = {name: member.infer(images, cells).predictions for name, member in members.items()}
        beside = torch.from_numpy(outline.encode(cells)) if known else None
        return cls(torch.from_numpy(images), beside, weighted_mean(inferred, outline.weights))

    def asked(self, graph: Graph, at_once: int = _IMAGES) -> NDArray[np.float64]:
        """What a graph says, of so many at once."""
        inputs = (self.images,) if self.covariates is None else (self.images, self.covariates)
        with torch.inference_mode():
            parts = zip(*(tensor.split(at_once) for tensor in inputs), strict=True)
            return torch.cat([graph(*part) for part in parts]).numpy()


def export(folder: Path, name: str, path: Path, *, replace: bool = False) -> float:
    """Write the served model in `folder` as `path` in the format `name`: how far its predictions are from the model's.

    Nothing is at `path` before it was read back and predicts as the model does, within `TOLERANCE`, or ten times what
    rounding moves the model's own predictions by where images are predicted together.

    Raises UserError on an unknown format, one whose packages are missing, one that the encoder cannot be written in,
    and where `path` is there, unless an earlier export is to be replaced; AssertionError where predictions differ:
    that is our mistake.
    """
    format_ = exports.build(name)
    if missing := [package for package in format_.packages if importlib.util.find_spec(package) is None]:
        raise UserError(f"format '{name}' needs {', '.join(missing)}: pip install contrasweep[{name}]")
    _check_free(path, replace)
    model = Exportable.load(folder)
    examples = Examples.draw(model)
    with placing(path.absolute()) as partial:
        format_.write(model, partial)
        return _difference(examples, model.folded, format_.read(partial))


def _difference(examples: Examples, folded: Graph, written: Graph) -> float:
    """How far a graph is from the model."""
    alone, found = examples.asked(folded, 1), examples.asked(written)
    np.testing.assert_allclose(alone, examples.said, rtol=0, atol=TOLERANCE)
    rounding = np.abs(examples.asked(folded) - alone).max()
    np.testing.assert_allclose(found, examples.said, rtol=0, atol=max(TOLERANCE, 10 * rounding))
    return float(np.abs(found - examples.said).max())


def _check_free(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise UserError(f"{path} is there already; --force replaces it")
    if path.is_dir() and not (path / "configs" / "metadata.json").is_file():
        raise UserError(f"{path} is a folder that no export wrote, and stays; allowed: a path that is free")


def _drawn(known: Covariates, rng: np.random.Generator) -> Cells:
    cells: dict[str, str | float] = {}
    place = 0
    for column, categories in known.levels.items():
        number = known.mean[place] + known.std[place] * rng.standard_normal()
        cells[column] = str(rng.choice(categories)) if categories else float(number)
        place += max(1, len(categories))
    return cells
