"""Similarities of positive and of the hardest negative pairs over epochs (SupReMix, Fig. 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contrasweep.trainers.analyses._panels import lines_over_epochs
from contrasweep.trainers.analyses._readings import Run, Space, by_point_and_seed, chosen_rows, embeddings_by_epoch
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Reading, Table
from contrasweep.trainers.drawing import WIDTH_IN, axes_of, canvas
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.metrics import narrow_bin, numbered_bins, pearson
from contrasweep.trainers.parameters import Count, Positive, Several

Products = tuple[float, float, float]
"""Means of positive and of the hardest negative pairs, and Pearson's r."""
_FIGURES = ("positive pairs", "hardest negative pairs", "Pearson r")


@ANALYSES.register("logits")
@dataclass(frozen=True)
class Logits:
    """Mean inner products of normalised embeddings after each epoch: of positive pairs, and of the hardest negatives.

    They are of one batch of test scans, the same for all. Positives are pairs whose labels are in one bin; the hardest
    negatives are those with the largest products. Pearson's r of what is predicted after the epoch stands beside.

    The paper's claim is that positives of SupCon saturate early, near 1, and those of SupReMix go on rising.
    Configurations may be ordered by `growth`, what the positives' mean rises by over the later half of the epochs that
    were kept, and by `gap`, how far it is above that of the hardest negatives after the last one.

    Args:
        batch: scans in it, where there are so many.
        hardest: negative pairs.
        bin_size: in label units; null for one, or a sixtieth of the labels' range where that is less.
        features: the space to look at, where several were kept; null for the first.
    """

    batch: Several = 512
    hardest: Count = 1000
    bin_size: Positive | None = None
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        found, rows = embeddings_by_epoch(evidence, self.features), chosen_rows(evidence, self.batch)
        positive = self._positive(evidence, rows)
        told = {
            reading: (*self._products(evidence.embeddings[reading][rows], positive), _correlation(evidence, reading))
            for runs in found.values()
            for readings in runs.values()
            for reading in readings
        }
        title = "Logits over epochs"
        cells = tuple((own.point, own.seed, own.fold, own.epoch, *figures) for own, figures in told.items())
        return Findings(
            tables={title: Table(("configuration", "seed", "fold", "epoch", *_FIGURES), cells)},
            figures={title: _drawn(told)},
            values={
                "growth": by_point_and_seed(_each(found, told, _growth)),
                "gap": by_point_and_seed(_each(found, told, _gap)),
            },
            larger=frozenset({"growth", "gap"}),
        )

    def _positive(self, evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pairs [n, n] of the batch are positive; each pair counts once, above the diagonal."""
        width = narrow_bin(evidence.labels) if self.bin_size is None else self.bin_size
        bins = numbered_bins(evidence.labels[rows], width)
        positive: NDArray[np.bool_] = np.triu(bins[:, None] == bins, 1)
        if not positive.any():
            raise UserError(
                f"bin_size: no two of {len(rows)} test scans have labels in one bin of {width:.6g}; allowed: more"
            )
        return positive

    def _products(self, features: NDArray[np.float32], positive: NDArray[np.bool_]) -> tuple[float, float]:
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        unit = features.astype(np.float64) / np.where(lengths > 0, lengths, 1)
        products = unit @ unit.T
        negative = np.triu(~positive, 1)
        hardest = np.sort(products[negative])[-self.hardest :]
        return float(products[positive].mean()), float(hardest.mean()) if hardest.size else float("nan")


def _each(
    found: Mapping[str, Mapping[Run, Sequence[Reading]]],
    told: Mapping[Reading, Products],
    of: Callable[[Sequence[Products]], float],
) -> dict[str, dict[Run, float]]:
    """A figure of what is told of the epochs of each run."""
    return {
        name: {run: of([told[reading] for reading in readings]) for run, readings in runs.items()}
        for name, runs in found.items()
    }


def _growth(epochs: Sequence[Products]) -> float:
    return epochs[-1][0] - epochs[(len(epochs) - 1) // 2][0]


def _gap(epochs: Sequence[Products]) -> float:
    return epochs[-1][0] - epochs[-1][1]


def _correlation(evidence: Evidence, reading: Reading) -> float:
    """nan where predictions of that epoch were not read."""
    said = (evidence.predictions[other] for other in evidence.predictions if other._replace(probe="") == reading)
    return next((float(pearson(evidence.labels, own)) for own in said), float("nan"))


def _drawn(told: dict[Reading, tuple[float, float, float]]) -> Figure:
    figure = canvas(3.6, WIDTH_IN)
    for place, name in enumerate(_FIGURES):
        lines: dict[str, dict[int, list[float]]] = {}
        for reading, figures in told.items():
            lines.setdefault(reading.point, {}).setdefault(reading.epoch, []).append(figures[place])
        axes = axes_of(figure, (1, len(_FIGURES), place + 1))
        lines_over_epochs(axes, lines)
        axes.set_title(name, fontsize=9.5, loc="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8.5)
    return figure
