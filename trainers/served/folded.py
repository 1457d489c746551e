"""A served model as one graph: normalisation, encoders, probes and the mean over runs in a single module."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import Frozen, RunConfig
from contrasweep.trainers.covariates import Cells, Covariates, beside
from contrasweep.trainers.inference import ENSEMBLE
from contrasweep.trainers.model import build_network
from contrasweep.trainers.normalization import Normalization
from contrasweep.trainers.probes import load_probe
from contrasweep.trainers.served.config import ServedConfig
from contrasweep.trainers.weighted import weighted_mean


class Column(NamedTuple):
    """A number that the graph reads beside an image: the table's in `column`, or 1 for its `category` and else 0."""

    column: str
    category: str | None


class ProbeOutline(Frozen):
    """The kind of a fitted probe, and the shapes of its tensors by name."""

    kind: str
    shapes: dict[str, tuple[int, ...]]


class RunOutline(Frozen):
    """All of a run but its weights; where its training began is left out."""

    run: RunConfig
    normalization: Normalization | None
    covariates: Covariates | None
    probe: ProbeOutline

    @classmethod
    def of(cls, run: RunConfig, state: Mapping[str, Any]) -> "RunOutline":
        """That of a run that was told `run` and left the checkpoint `state`."""
        kind, tensors = _split(state["probe"])
        tuned = run.finetuning()
        return cls.model_validate(
            {
                "run": tuned.model_copy(update={"model": tuned.model.model_copy(update={"init_from": None})}),
                "normalization": state["normalization"],
                "covariates": state.get("covariates"),
                "probe": {"kind": kind, "shapes": {name: tuple(of.shape) for name, of in tensors.items()}},
            }
        )


class Outline(Frozen):
    """What `Folded` is built from.

    `image_shape` is (C, *S) of a prepared image, `weights` are as in `ServedConfig`. In its JSON infinity is Python's
    `Infinity`, as in what is served.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    image_shape: tuple[int, ...]
    runs: dict[str, RunOutline]
    weights: dict[str, float] = Field(default_factory=dict)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The K numbers that the graph reads beside an image; none where it reads images alone.

        Runs on other folds may have other categories: those of all are here.
        """
        read = [run.covariates.levels for run in self.runs.values() if run.covariates]
        levels = {column: sorted({one for of in read for one in of[column]}) for column in (read[0] if read else ())}
        return _columns(levels)

    def encode(self, scans: Sequence[Cells]) -> NDArray[np.float32]:
        """What the graph reads of scans [N], each told by its cells in the covariates' columns: [N, K].

        A category that is none of those of training is 0 in all of its column's numbers.
        """
        rows = [[_number(cells[name], category) for name, category in self.columns] for cells in scans]
        return np.array(rows, dtype=np.float32).reshape(len(scans), len(self.columns))


class Folded(nn.Module):
    """Prepared images [N, C, *S] float32 and what `Outline.encode` gives [N, K] -> predictions [N] float64.

    Predictions are the mean over the runs, by their weights, in the label's unit. Its state is the parameters of the
    encoders, and of heads that features are read behind, and the probes' tensors; it is built with any, to be filled,
    in evaluation mode.
    """

    def __init__(self, outline: Outline) -> None:
        super().__init__()
        self.outline = outline
        self.runs = nn.ModuleList(
            _Run(run, outline.image_shape, outline.columns) for run in outline.runs.values()
        ).eval()

    @classmethod
    def load(cls, folder: Path) -> "Folded":
        """That of the served model in `folder`. Raises UserError as `ServedConfig.read` does."""
        kept = json.loads((folder / ENSEMBLE).read_text())
        states = {name: checkpoint.load(folder / f"{name}.pt") for name in kept["runs"]}
        runs = {name: RunOutline.of(RunConfig.model_validate(run), states[name]) for name, run in kept["runs"].items()}
        served = ServedConfig.read(folder)
        folded = cls(Outline(image_shape=tuple(kept["image_shape"]), runs=runs, weights=served.weights))
        for run, state in zip(folded.runs, states.values(), strict=True):
            weights = {f"network.{name}": tensor for name, tensor in state["model"].items()}
            weights |= {f"probe.{name}": tensor for name, tensor in _split(state["probe"])[1].items()}
            run.load_state_dict({name: weights[name] for name in run.state_dict()})
        return folded

    def forward(self, images: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Predictions [N]."""
        said = (run(images, covariates) for run in self.runs)
        predictions: Tensor = weighted_mean(dict(zip(self.outline.runs, said, strict=True)), self.outline.weights)
        return predictions


class _Run(nn.Module):
    """One run: images [N, C, *S] and covariates [N, K] -> predictions [N] float64."""

    def __init__(self, outline: RunOutline, image_shape: tuple[int, ...], columns: Sequence[Column]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.network = build_network(outline.run, image_shape)
        if self.network.features == "encoder":
            self.network.head = None
        self.normalization = outline.normalization
        self.scale = _Scale(outline.covariates, columns) if outline.covariates else None
        self.probe = _Probe(outline.probe)

    def forward(self, images: Tensor, covariates: Tensor | None) -> Tensor:
        normalized = self.normalization(images) if self.normalization else images
        features = self.network(normalized).features.float()
        told = None if self.scale is None else self.scale(covariates)
        predictions: Tensor = self.probe(beside(features, told))
        return predictions


class _Scale(nn.Module):
    """What `Covariates.encode` makes of a scan, of the numbers [N, K] that all runs read: [N, own K]."""

    def __init__(self, covariates: Covariates, columns: Sequence[Column]) -> None:
        super().__init__()
        own = _columns(covariates.levels)
        together = [[one.column == other.column for other in own] for one in own]
        self.place = nn.Buffer(torch.tensor([columns.index(one) for one in own]), persistent=False)
        self.is_number = nn.Buffer(torch.tensor([one.category is None for one in own]), persistent=False)
        self.together = nn.Buffer(torch.tensor(together).double(), persistent=False)
        self.mean = nn.Buffer(torch.tensor(covariates.mean, dtype=torch.float64), persistent=False)
        self.std = nn.Buffer(torch.tensor(covariates.std, dtype=torch.float64), persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        own = numbers[:, self.place].double()
        known = torch.where(self.is_number, 1.0, own @ self.together)  # 0 for a category that this run was not told
        return ((own - self.mean) / self.std * known).float()


class _Probe(nn.Module):
    """A fitted probe with its tensors as buffers: features [N, F] -> predictions [N] float64."""

    def __init__(self, outline: ProbeOutline) -> None:
        super().__init__()
        self.kind = outline.kind
        for name, shape in outline.shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return load_probe({"kind": self.kind, **dict(self.named_buffers())}).predict(features)


def _split(probe: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """The kind of a probe's state, and its tensors."""
    return probe["kind"], {name: value for name, value in probe.items() if name != "kind"}


def _number(cell: str | float, category: str | None) -> float:
    return float(cell) if category is None else float(cell == category)


def _columns(levels: Mapping[str, Sequence[str]]) -> tuple[Column, ...]:
    """A number for each category of a column that has some, else one."""
    return tuple(Column(name, one) for name, known in levels.items() for one in (known or (None,)))
