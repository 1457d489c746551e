"""Predicted against true (SupReMix, Fig. 6A)."""

from dataclasses import dataclass

import numpy as np

from contrasweep.trainers.analyses._panels import grid, labelled
from contrasweep.trainers.analyses._readings import Space, predictions
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.drawing import COLOURS, INK
from contrasweep.trainers.metrics import METRICS


@ANALYSES.register("scatter")
@dataclass(frozen=True)
class Scatter:
    """The mean prediction over runs of each test scan against its label, a panel for each configuration.

    Args:
        features, probe: what to read, where several were; null for what counts.
    """

    features: Space | None = None
    probe: str | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        found = predictions(evidence, self.features, self.probe)
        said = {point: np.mean([*runs.values()], axis=0) for point, runs in found.items()}
        y, all_said = evidence.labels, np.array([*said.values()])
        told = {point: {name: float(of(y, own)) for name, of in METRICS.items()} for point, own in said.items()}
        low, high = min(y.min(), all_said.min()), max(y.max(), all_said.max())
        margin = 0.04 * (high - low) or 1.0
        figure, all_axes = grid([*said])
        for axes, (point, own) in zip(all_axes, said.items(), strict=True):
            axes.axline((low, low), slope=1, color=INK, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
            axes.scatter(y, own, s=14, color=COLOURS[0], edgecolor="white", linewidth=0.3, alpha=0.6)
            axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
            error = f"MAE {told[point]['mae']:.3g} {evidence.unit}".rstrip()
            axes.text(0.04, 0.96, error, transform=axes.transAxes, va="top", fontsize=8.5, color=INK)
        figure.supxlabel(labelled(evidence, "true"), fontsize=9.5)
        figure.supylabel(labelled(evidence, "predicted"), fontsize=9.5)
        rows = tuple((point, len(found[point]), *own.values()) for point, own in told.items())
        title = "Predicted against true"
        return Findings(
            tables={title: Table(("configuration", "runs", *METRICS), rows)},
            figures={title: figure},
            words=("Each dot is the mean prediction over runs, of which the figures are.",),
        )
