"""How far the order of a study's rows agrees with the one that is published."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from contrasweep.trainers.config import Frozen
from contrasweep.trainers.interval import Interval

AGREES, DISAGREES, CANNOT_TELL = "agrees", "disagrees", "cannot tell"
REPEATS = 1000
Floats = NDArray[np.float64]


class Order(Frozen):
    """Kendall's tau-b between our order of `rows` by `metric` and theirs, with its 95 % bootstrap interval.

    The verdict is `agrees` where the interval is above 0, `disagrees` where it is below, and else `cannot tell`.
    """

    metric: str
    rows: tuple[str, ...]
    tau: Interval
    verdict: Literal["agrees", "disagrees", "cannot tell"]


def order_of(metric: str, drawn: Mapping[str, Floats], theirs: Sequence[float]) -> Order:
    """The order by figures of rows [1 + repeats], the first as measured, the others of resamples.

    `theirs` are the published figures of these rows, or ranks of the same direction. Rows whose figures are equal in a
    resample are tied; a resample in which all are does not count.
    """
    figures = np.array(list(drawn.values())).T
    taus = np.array([kendalltau(one, theirs).statistic for one in figures])
    defined = taus[1:][np.isfinite(taus[1:])]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined.size else (np.nan, np.nan)
    verdict = AGREES if low > 0 else DISAGREES if high < 0 else CANNOT_TELL
    return Order(
        metric=metric,
        rows=tuple(drawn),
        tau=Interval(float(taus[0]), float(low), float(high)),
        verdict=verdict,  # type: ignore[arg-type]
    )


def draws_of(subjects: Sequence[Hashable], seed: int = 0) -> list[NDArray[np.int64]]:
    """All scans, and REPEATS resamples of the subjects, each with all its scans, as rows."""
    rows: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(row)
    members = [np.array(of) for of in rows.values()]
    drawn = np.random.default_rng(seed).integers(len(members), size=(REPEATS, len(members)))
    return [np.arange(len(subjects)), *(np.concatenate([members[one] for one in draw]) for draw in drawn)]


def resampled(
    figure: Callable[[Floats, Floats], Floats],
    labels: Floats,
    said: Floats,
    draws: Sequence[NDArray[np.int64]],
    seed: int,
) -> Floats:
    """A figure's mean over seeds, of labels [n] and predictions [S, n], in each of `draws`; in all but the first of as
    many seeds, drawn with replacement.
    """
    rng, many = np.random.default_rng(seed), len(said)
    values = [figure(labels[rows], said[:, rows]) for rows in draws]
    return np.array([values[0].mean(), *(one[rng.integers(many, size=many)].mean() for one in values[1:])])


def resampled_mean(values: Sequence[float], seed: int = 0) -> Floats:
    """The mean of figures of seeds, and of REPEATS resamples of these."""
    known = np.array(values)
    drawn = np.random.default_rng(seed).integers(len(known), size=(REPEATS, len(known)))
    return np.array([known.mean(), *known[drawn].mean(axis=1)])
