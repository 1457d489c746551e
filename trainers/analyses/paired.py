"""Differences between configurations, or to a baseline, on the same test subjects (SupReMix, Fig. 5)."""

from dataclasses import astuple, dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from contrasweep.trainers.analyses._panels import in_unit, rows_of_intervals
from contrasweep.trainers.analyses._readings import FloatArray, Run, Space, errors, folds_of, point
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.order_told import CANNOT_TELL, LEAST_RUNS
from contrasweep.trainers.paired import paired_difference
from contrasweep.trainers.significance import crossed_p, holm

_LEVEL = 0.05
_MOST_DRAWN = 30
"""Comparisons in a figure; of more there is the table alone."""
_COLUMNS = ("configuration", "reference", "runs", "difference", "low", "high", "p", "p of all", "verdict")


@ANALYSES.register("paired")
@dataclass(frozen=True)
class Paired:
    """MAE of each configuration less that of another, over the seeds that both have, mean over runs.

    Intervals are 95 % subject bootstrap: of these runs on other people. p is over runs as well, with folds corrected
    for what training sets share (`trainers.significance.crossed_p`); `p of all` is Holm's over all comparisons. What
    differs is `smaller` or `larger`: there are two runs of both, `p of all` is below 0.05, and 0 is outside the
    interval; of all else nothing can be told.

    Args:
        reference: the configuration to which all others are compared, or a baseline's title, such as PCA + ridge, to
            which all are; null for all pairs.
        features, probe: what to read, where several were; null for what counts.
    """

    reference: str | None = None
    features: Space | None = None
    probe: str | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        of_points = self._errors(evidence)
        pairs = self._pairs(evidence)
        told = [_compare(of_points[one], of_points[other], evidence.subjects, (one, other)) for one, other in pairs]
        adjusted = holm([one.p for one in told])
        rows = tuple(
            (*pair, one.runs, *astuple(one.difference), one.p, p, _verdict(one, p))
            for pair, one, p in zip(pairs, told, adjusted, strict=True)
        )
        shown = {" less ".join(pair): one.difference for pair, one in zip(pairs, told, strict=True)}
        title = "Differences in MAE"
        return Findings(
            tables={title: Table(_COLUMNS, rows)},
            figures={title: rows_of_intervals({title: shown}, in_unit(evidence, "difference in MAE"), zero=True)}
            if len(rows) <= _MOST_DRAWN
            else {},
            words=(_summary(rows),),
            apart={frozenset(pair): row[-1] != CANNOT_TELL for pair, row in zip(pairs, rows, strict=True)},
        )

    def _errors(self, evidence: Evidence) -> dict[str, dict[Run, FloatArray]]:
        """[n] of each configuration's runs, and of a baseline that is the reference for each of them the same."""
        found = errors(evidence, self.features, self.probe)
        if self.reference is not None and self.reference in evidence.baselines:
            own = np.abs(evidence.baselines[self.reference] - evidence.labels)
            found[self.reference] = {run: own for runs in found.values() for run in runs}
        return found

    def _pairs(self, evidence: Evidence) -> list[tuple[str, str]]:
        if self.reference is None and len(evidence.points) > 1:
            return [*combinations(evidence.points, 2)]
        if self.reference is not None and self.reference in evidence.baselines:
            return [(name, self.reference) for name in evidence.points]
        if len(evidence.points) < 2:
            raise UserError("there is one configuration, and differences are between two, or to a baseline: reference")
        reference = point(evidence, self.reference, evidence.baselines)
        return [(name, reference) for name in evidence.points if name != reference]


class _Compared(NamedTuple):
    """The mean difference of errors over so many runs, and its p."""

    runs: int
    difference: Interval
    p: float


def _compare(
    one: dict[Run, FloatArray], other: dict[Run, FloatArray], subjects: tuple[str, ...], names: tuple[str, str]
) -> _Compared:
    """Of errors [n] of runs."""
    runs = [run for run in one if run in other]
    if not runs:
        raise UserError(f"configurations '{names[0]}' and '{names[1]}' have no seed in common")
    own, others = np.array([one[run] for run in runs]), np.array([other[run] for run in runs])
    p = crossed_p(own - others, subjects, folds_of(runs))
    return _Compared(len(runs), paired_difference(own.mean(0), others.mean(0), subjects), p)


def _verdict(told: _Compared, p: float) -> str:
    if told.runs < LEAST_RUNS or not p < _LEVEL or told.difference.low <= 0 <= told.difference.high:
        return CANNOT_TELL
    return "smaller" if told.difference.value < 0 else "larger"


def _summary(rows: tuple[tuple[object, ...], ...]) -> str:
    differ = [f"{row[0]} {row[-1]} than {row[1]}" for row in rows if row[-1] != CANNOT_TELL]
    told = f"Of {len(rows)} comparison{'s' * (len(rows) > 1)} {len(differ)} differ{'s' * (len(differ) == 1)}"
    return f"{told}{': ' if differ else ''}{', '.join(differ)}."
