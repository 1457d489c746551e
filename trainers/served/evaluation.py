"""What a labelled sample says of a model that was not trained on it: how wrong it is, for whom, and what to doubt."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from contrasweep.trainers.age_gap import Dependence, dependence
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.data.participants import DESCRIBING
from contrasweep.trainers.data.table import is_missing, number
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.group_told import GroupTold, group_told
from contrasweep.trainers.groups import GroupErrors, errors_by_group, label_bands
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import bootstrap
from contrasweep.trainers.resampling import subject_bootstrap
from contrasweep.trainers.retest import Retest, retest
from contrasweep.trainers.served.calibration import Calibration

FloatArray = NDArray[np.float64]

RAW, BY_LINE, BY_BANDS = "raw", "corrected by a line", "corrected by bands"
"""The gap, and what is left of it without what validation says that it owes to the label."""
OF_LABEL = "the label"
"""What groups of the label itself are called, beside those of columns."""
_MOST_VALUES = 10
"""Different numbers of a column, with more of which it is cut into thirds."""


class Coverage(Frozen):
    """Whether people's intervals hold their labels as often as they promise.

    Attributes:
        level: the share that is promised. share: that of scans whose label is inside.
        width: mean width, in the label's unit.
    """

    level: float
    share: Interval
    width: float


class SampleEvaluation(Frozen):
    """Figures of a sample, each with its 95 % subject bootstrap interval; errors are in the label's unit.

    Attributes:
        metrics: each of `trainers.metrics.METRICS`; `bias` is the mean of prediction less label.
        coverage: of the intervals for a person; None where the model has none.
        gaps: how the gap depends on the label: as it is and, where the model has a calibration, corrected.
        groups: errors by sex, site and other columns, and by the label, under `OF_LABEL`.
        retest: reliability of `prediction` and `gap`; empty where fewer than two people have two sessions.
        told: how well the embedding tells the groups of a column; of columns with two groups of 10 people.
    """

    scans: int
    subjects: int
    metrics: dict[str, Interval]
    bias: Interval
    coverage: Coverage | None
    gaps: dict[str, Dependence]
    groups: dict[str, tuple[GroupErrors, ...]]
    retest: dict[str, Retest]
    told: dict[str, GroupTold] = Field(default_factory=dict)


def evaluate_sample(
    labels: ArrayLike,
    predictions: ArrayLike,
    subjects: Sequence[str],
    *,
    sessions: Sequence[str] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
    features: Mapping[str, ArrayLike] | None = None,
    calibration: Calibration | None = None,
    repeats: int = 2000,
) -> SampleEvaluation:
    """The figures of scans with `labels` [N], at least one, for which a model's mean `predictions` are [N].

    Args:
        subjects: [N], whose each scan is: these are resampled.
        sessions: [N], which of the subject's it is; without them nothing is said of reliability.
        columns: [N] cells of each, by which errors are told apart; of more than ten different numbers by thirds, but
            for the numbers of sites or scanners.
        features: [N, F] of each run, by which groups may be told; without them nothing is said of that.
        calibration: fitted on others than these.
        repeats: resamples of each interval.
    """
    y, said = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    assert y.shape == said.shape == (len(subjects),) and y.size, (y.shape, said.shape, len(subjects))
    cells = {**(columns or {}), OF_LABEL: [*map(str, y.tolist())]}
    return SampleEvaluation(
        scans=y.size,
        subjects=len(set(subjects)),
        metrics=bootstrap(y, said[None], repeats, clusters=subjects),
        bias=subject_bootstrap(lambda rows: float(np.mean(said[rows] - y[rows])), subjects, repeats),
        coverage=_coverage(y, said, subjects, calibration, repeats) if calibration else None,
        gaps={name: dependence(gap, y, subjects, repeats) for name, gap in _gaps(y, said, calibration).items()},
        groups={column: _errors_by(column, own, y, said, subjects, repeats) for column, own in cells.items()},
        retest=_retests({"prediction": said, "gap": said - y}, subjects, sessions, repeats),
        told=_told(columns or {}, features, subjects, repeats) if features else {},
    )


def _coverage(
    y: FloatArray, said: FloatArray, subjects: Sequence[str], calibration: Calibration, repeats: int
) -> Coverage:
    low, high = calibration.conformal.interval(said)
    inside = (low <= y) & (y <= high)
    share = subject_bootstrap(lambda rows: float(inside[rows].mean()), subjects, repeats)
    return Coverage(level=calibration.conformal.level, share=share, width=float(np.mean(high - low)))


def _gaps(y: FloatArray, said: FloatArray, calibration: Calibration | None) -> dict[str, FloatArray]:
    raw = {RAW: said - y}
    if calibration is None:
        return raw
    return raw | {BY_LINE: calibration.linear.apply(said, y), BY_BANDS: calibration.bands.apply(said, y)}


def _errors_by(
    column: str, cells: Sequence[str], y: FloatArray, said: FloatArray, subjects: Sequence[str], repeats: int
) -> tuple[GroupErrors, ...]:
    """The errors of each group of a column, in its order: numbers by size, n/a last."""
    known = ["n/a" if is_missing(cell) else cell for cell in cells]
    numbers = _numbers({*known} - {"n/a"})
    rows = sorted(range(len(known)), key=lambda row: (known[row] == "n/a", numbers.get(known[row], 0.0), known[row]))
    groups, whose = [known[row] for row in rows], [subjects[row] for row in rows]
    if _is_cut(column, numbers):
        bands = label_bands([numbers[group] for group in groups if group != "n/a"])
        groups = bands + groups[len(bands) :]
    return errors_by_group(said[rows], y[rows], groups, whose, repeats)


def _told(
    columns: Mapping[str, Sequence[str]], features: Mapping[str, ArrayLike], subjects: Sequence[str], repeats: int
) -> dict[str, GroupTold]:
    found = {}
    for column, cells in columns.items():
        known = [None if is_missing(cell) else cell for cell in cells]
        if not _is_cut(column, _numbers({cell for cell in known if cell is not None})):
            found[column] = group_told(features, known, subjects, repeats)
    return {column: told for column, told in found.items() if told}


def _is_cut(column: str, numbers: Mapping[str, float]) -> bool:
    """Whether a column of these numbers, by its cells, is one of many numbers, and not of groups."""
    return len({*numbers.values()}) > _MOST_VALUES and column.lower() not in DESCRIBING


def _numbers(cells: Collection[str]) -> dict[str, float]:
    """The number that each cell is; none where any is text."""
    found = {cell: value for cell in cells if (value := number(cell)) is not None}
    return found if len(found) == len(cells) else {}


def _retests(
    values: Mapping[str, FloatArray], subjects: Sequence[str], sessions: Sequence[str], repeats: int
) -> dict[str, Retest]:
    try:
        return {name: retest(value, subjects, sessions, repeats) for name, value in values.items()} if sessions else {}
    except UserError:  # too few people have two sessions
        return {}
