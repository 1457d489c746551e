"""What more people would bring, by each method's power law."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from contrasweep.trainers.analyses._panels import style
from contrasweep.trainers.analyses._readings import FloatArray
from contrasweep.trainers.analyses.base import Evidence, Table
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.order_told import mean_value
from contrasweep.trainers.power_law import LEAST_SIZES, PowerLaw, fit_power_law
from contrasweep.trainers.resampling import crossed_bootstrap

_REFITS = 200
_COLUMNS = ("method", "a", "b", "c", "people", "mae", "low", "high", "gain", "gain low", "gain high")


class Place(NamedTuple):
    """A configuration at its number, and what its runs, over so many folds, predict [J, n]."""

    point: str
    at: float
    said: FloatArray
    folds: int = 0


def foretell(
    lines: Mapping[str, Sequence[Place]], evidence: Evidence, more: int, axes: Axes
) -> tuple[Table, tuple[str, ...]]:
    """Each method's law, its MAE with `more` people than the most and the gain by them, with intervals of refits.

    The laws are drawn, too. Raises UserError where numbers are shares and not people, or no method has as many as a law
    needs.
    """
    least = min(place.at for line in lines.values() for place in line)
    if least <= 1:
        raise UserError(f"law: over: {least:g} is no number of people; allowed: numbers above 1, as `over: people` has")
    rows, words = [], []
    for number, (method, line) in enumerate(lines.items()):
        if len({place.at for place in line}) < LEAST_SIZES:
            continue
        law, most = _fit(line, [np.abs(place.said - evidence.labels).mean() for place in line]), line[-1].at
        error = _refitted(line, evidence, partial(_error, n=most + more))
        gain = _refitted(line, evidence, partial(_gain, most=most, more=more))
        rows.append((method, *law, most + more, *astuple(error), *astuple(gain)))
        bounds = f"[{gain.low:.3g}, {gain.high:.3g}] {evidence.unit}".strip()
        words.append(
            f"With {more} people more than {most:g} the MAE of {method} would fall by {gain.value:.3g} {bounds}."
        )
        sizes = np.linspace(line[0].at, most + more, 100)
        axes.plot(sizes, law.at(sizes), color=style(number)[0], linewidth=1, linestyle=(0, (2, 2)))
    if not rows:
        raise UserError(f"law: no method has {LEAST_SIZES} numbers of people, to which one can be fitted")
    return Table(_COLUMNS, tuple(rows)), tuple(words)


def _error(law: PowerLaw, n: float) -> float:
    return float(law.at(n))


def _gain(law: PowerLaw, most: float, more: int) -> float:
    return float(law.at(most) - law.at(most + more))


def _refitted(line: Sequence[Place], evidence: Evidence, said: Callable[[PowerLaw], float]) -> Interval:
    errors = [np.abs(place.said - evidence.labels) for place in line]
    return crossed_bootstrap(
        mean_value,
        lambda means: said(_fit(line, means)),
        errors,
        evidence.subjects,
        folds=line[0].folds,
        repeats=_REFITS,
    )


def _fit(line: Sequence[Place], errors: ArrayLike) -> PowerLaw:
    return fit_power_law([place.at for place in line], errors)
