"""Whether our order of several methods is the one that was published."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.interval import Interval
from contrasweep.trainers.resampling import Rows, crossed_bootstrap

AGREES: Final = "agrees"
DISAGREES: Final = "disagrees"
CANNOT_TELL: Final = "cannot tell"

LEAST_RUNS: Final = 2
"""Runs of each method below which nothing is said of them: one says nothing of what training anew would give."""

FloatArray = NDArray[np.float64]
Figure = Callable[[FloatArray, Rows], FloatArray]
"""What counts of each run [J], of values [J, n] and the scans [n] that these are of."""


@dataclass(frozen=True)
class OrderTold:
    """How alike two orders of the same `rows` are.

    Attributes:
        runs: of the row that has the fewest.
        tau: Kendall's tau-b, 1 for the same order and -1 for the opposite, with its 95 % bootstrap interval.
    """

    rows: int
    runs: int
    tau: Interval

    @property
    def verdict(self) -> str:
        """`agrees` where the interval is above 0, `disagrees` where it is below; else, or of one run, `cannot tell`."""
        if self.runs < LEAST_RUNS:
            return CANNOT_TELL
        return AGREES if self.tau.low > 0 else DISAGREES if self.tau.high < 0 else CANNOT_TELL


def mean_value(values: FloatArray, scans: Rows) -> FloatArray:
    """The means [J] of values [J, n]: of absolute errors, the MAE."""
    means: FloatArray = values.mean(1)
    return means


def order_told(
    ours: Mapping[str, ArrayLike],
    published: Mapping[str, float],
    subjects: Sequence[Hashable],
    figure: Figure = mean_value,
    *,
    trainings: Mapping[str, Hashable] | None = None,
    folds: int = 0,
    repeats: int = 2000,
    seed: int = 0,
    chains: Mapping[str, int] | None = None,
) -> OrderTold:
    """Kendall's tau-b between our order of the rows in `published` and theirs.

    `ours` has of each row values [J, N]: of J runs over seeds and `folds`, of some rows more than of others, on the
    scans of `subjects` [N]; of them `figure` says what counts, by its mean over runs. Where more of it is better, more
    of what is published must be, too: else negate the latter. What counts but has no scans is [J, 1], with one subject.
    Rows that are readings of one training have one key in `trainings`; the others need none.

    Where `chains` says in which chain each row is, only pairs of rows of one chain count.

    The interval is over subjects and runs (`trainers.resampling.crossed_bootstrap`). tau is nan, and nothing can be
    told, of fewer than two rows, or where one side has them all alike.

    >>> ours = {"a": [[1.0, 1.1], [1.0, 1.2]], "b": [[2.0, 2.1], [2.0, 2.2]]}
    >>> told = order_told(ours, {"a": 3.5, "b": 3.9}, "st")
    >>> told.tau, told.verdict
    (Interval(value=1.0, low=1.0, high=1.0), 'agrees')
    """
    values = [np.asarray(ours[row], np.float64) for row in published]
    assert all(own.shape == (len(own), len(subjects)) for own in values), [own.shape for own in values]
    theirs = [*published.values()]
    apart = [chains[row] for row in published] if chains else None
    tau = crossed_bootstrap(
        figure,
        lambda means: tau_b(means, theirs, apart),
        values,
        subjects,
        trainings=[(trainings or {}).get(row, row) for row in published],
        folds=folds,
        repeats=repeats,
        seed=seed,
    )
    return OrderTold(len(theirs), min(map(len, values), default=0), tau)


def tau_b(one: ArrayLike, other: ArrayLike, chains: ArrayLike | None = None) -> float:
    """Kendall's tau-b of two orders [R]; nan where one has all alike. (Scipy's takes 30 times as long.)

    Of several `chains` [R] over the pairs within each.

    >>> tau_b([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0])
    0.6666666666666666
    >>> tau_b([1.0, 2.0, 9.0, 8.0], [1.0, 2.0, 1.0, 2.0], [0, 0, 1, 1])
    0.0
    """
    signs, others = (np.sign(np.subtract.outer(values, values)) for values in (np.asarray(one), np.asarray(other)))
    if chains is not None:
        signs, others = (own * np.equal.outer(np.asarray(chains), np.asarray(chains)) for own in (signs, others))
    untied = np.sqrt(np.sum(signs**2) * np.sum(others**2))
    return float(np.sum(signs * others) / untied) if untied else float("nan")
