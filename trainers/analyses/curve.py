"""A metric over a number that configurations differ in: gamma, lambda, batch size, people (SupReMix, Fig. 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from contrasweep.trainers.analyses._law import Place, foretell
from contrasweep.trainers.analyses._panels import in_unit, style
from contrasweep.trainers.analyses._readings import FloatArray, Run, Space, folds_of, predictions
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.drawing import FAINT, axes_of, canvas, plain
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import METRICS
from contrasweep.trainers.parameters import Count
from contrasweep.trainers.resampling import Rows, crossed_bootstrap

_IN_UNIT = ("mae", "gm")
_WIDE = 20
"""How many times the least number the largest is, from which on the axis is logarithmic."""


@ANALYSES.register("curve")
@dataclass(frozen=True)
class Curve:
    """A metric of configurations over a number that tells them apart, a line for each method, mean over runs.

    Intervals are 95 %, over subjects and runs alike. With `law`, a + b n^-c is fitted to each method's MAE over at
    least four numbers n of people, and says what `more` of them than the most would bring.

    Args:
        over: a parameter, field of the training or choice, whose options are numbers, or `people`, on how many each is
            trained; null for the only one that differs.
        features, probe: what to read, where several were; null for what counts.
    """

    over: str | None = None
    metric: Literal["mae", "mse", "gm", "pearson", "r2"] = "mae"
    law: bool = False
    more: Count = 200
    features: Space | None = None
    probe: str | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        over = _over(evidence, self.over)
        lines = _lines(evidence, over, predictions(evidence, self.features, self.probe))
        told = {place.point: self._interval(evidence, place) for line in lines.values() for place in line}
        rows = tuple(
            (place.point, method, place.at, len(place.said), *astuple(told[place.point]))
            for method, line in lines.items()
            for place in line
        )
        title = f"{self.metric} over {over}"
        tables = {title: Table(("configuration", "method", over, "runs", self.metric, "low", "high"), rows)}
        axis = in_unit(evidence, self.metric.upper()) if self.metric in _IN_UNIT else self.metric
        figure = _drawn(lines, told, over, axis)
        if not self.law:
            return Findings(tables, {title: figure})
        laws, words = foretell(lines, evidence, self.more, figure.axes[0])
        return Findings({**tables, "Power law": laws}, {title: figure}, words)

    def _interval(self, evidence: Evidence, place: Place) -> Interval:
        metric = METRICS[self.metric]

        def of_runs(said: FloatArray, rows: Rows) -> FloatArray:
            return np.asarray(metric(evidence.labels[rows], said))

        return crossed_bootstrap(
            of_runs, lambda means: float(means[0]), [place.said], evidence.subjects, folds=place.folds
        )


def _over(evidence: Evidence, over: str | None) -> str:
    """The number that tells configurations apart."""
    numbers: dict[str, set[float]] = {}
    for values in evidence.values.values():
        for name, value in values.items():
            if (number := _number(value)) is not None:
                numbers.setdefault(name, set()).add(number)
    differing = [name for name, own in numbers.items() if len(own) > 1]
    if over is None and len(differing) == 1:
        return differing[0]
    if over not in differing:
        asked = "is needed" if over is None else f"'{over}' is no number in which configurations differ"
        raise UserError(f"over: {asked}; {nearest(over or '', differing)}")
    return over


def _lines(evidence: Evidence, over: str, found: Mapping[str, Mapping[Run, FloatArray]]) -> dict[str, list[Place]]:
    """The configurations of each method that have the number, by it."""
    lines: dict[str, list[Place]] = {}
    for point, method in evidence.points.items():
        at = _number(evidence.values[point].get(over))
        if at is not None:
            runs = found[point]
            lines.setdefault(method, []).append(Place(point, at, np.array([*runs.values()]), folds_of(runs)))
    return {method: sorted(line, key=lambda place: place.at) for method, line in lines.items()}


def _number(value: object) -> float | None:
    """Options of choices are names, which may be numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _drawn(lines: Mapping[str, Sequence[Place]], told: Mapping[str, Interval], over: str, axis: str) -> Figure:
    figure = canvas(4.2, 6.4)
    axes = axes_of(figure)
    for number, (method, line) in enumerate(lines.items()):
        own = [told[place.point] for place in line]
        below, above = [one.value - one.low for one in own], [one.high - one.value for one in own]
        colour, marker = style(number)
        axes.errorbar(
            [place.at for place in line],
            [one.value for one in own],
            yerr=np.abs([below, above]),
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.6,
            elinewidth=1,
            label=plain(method),
        )
    numbers = [place.at for line in lines.values() for place in line if np.isfinite(place.at)]
    if numbers and 0 < _WIDE * min(numbers) <= max(numbers):
        axes.set_xscale("log")
    axes.set_xlabel(plain(over))
    axes.set_ylabel(axis)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.legend(frameon=False, fontsize=8.5)
    return figure
