"""The subject bootstrap of any figure."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.interval import Interval

Rows = NDArray[np.int64]


def subject_bootstrap(
    figure: Callable[[Rows], float], subjects: Sequence[Hashable], repeats: int = 2000, seed: int = 0
) -> Interval:
    """`figure` of all rows, with its 95 % percentile interval over `repeats` resamples of the subjects.

    `subjects` [N] says whose each row is; rows of one are drawn together. `figure` is given the drawn rows [n] in no
    order, a row as often as it was drawn. Resamples in which it is not finite do not count. Draws are those of
    `trainers.metrics.bootstrap`, whose intervals of metrics these are.

    >>> subject_bootstrap(lambda rows: 3.0, ["a", "b"])
    Interval(value=3.0, low=3.0, high=3.0)
    """
    rows_of: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows_of.setdefault(subject, []).append(row)
    ordered, sizes = np.concatenate([*rows_of.values()]), np.array([*map(len, rows_of.values())])
    draws = np.random.default_rng(seed).integers(len(sizes), size=(repeats, len(sizes)))
    resampled = np.array([figure(_drawn(ordered, sizes, drawn)) for drawn in draws])
    value, defined = float(figure(np.arange(len(subjects)))), resampled[np.isfinite(resampled)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined.size else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


def _drawn(ordered: Rows, sizes: Rows, drawn: Rows) -> Rows:
    """The rows of the `drawn` subjects, each as many as `sizes` says of `ordered` ones, in one step for all."""
    many = sizes[drawn]
    begins, ends = (sizes.cumsum() - sizes)[drawn], many.cumsum()
    rows: Rows = ordered[np.repeat(begins - ends + many, many) + np.arange(ends[-1])]
    return rows
