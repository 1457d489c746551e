"""The subject bootstrap of any figure."""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.interval import Interval

Rows = NDArray[np.int64]
FloatArray = NDArray[np.float64]


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
    resampled = [figure(rows) for rows in resamples(subjects, repeats, seed)]
    return _percentiles(figure(np.arange(len(subjects))), resampled)


def crossed_bootstrap(
    figure: Callable[[Sequence[FloatArray], Rows], float],
    values: Sequence[FloatArray],
    subjects: Sequence[Hashable],
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """`figure` of several methods, with its 95 % percentile interval over resamples of the subjects and of the runs.

    `values` are each method's, [S, N]: of S runs, on the rows of `subjects` [N]. `figure` is given of each method
    values [s, n] of the drawn runs and rows, and these rows, the same for all. Of S runs one fewer is drawn, at least
    one: means of so many vary as the mean of S does, those of S too little where they are few (Rao & Wu 1988). So with
    one run the interval says nothing of training.

    >>> crossed_bootstrap(lambda drawn, rows: float(drawn[0].mean()), [np.array([[1.0, 1.0], [1.0, 1.0]])], "ab", 10)
    Interval(value=1.0, low=1.0, high=1.0)
    """
    rng = np.random.default_rng((seed, 1))

    def drawn(own: FloatArray) -> FloatArray:
        return own[rng.integers(len(own), size=max(1, len(own) - 1))]

    resampled = [figure([drawn(own)[:, rows] for own in values], rows) for rows in resamples(subjects, repeats, seed)]
    return _percentiles(figure(values, np.arange(len(subjects))), resampled)


def resamples(subjects: Sequence[Hashable], repeats: int, seed: int = 0) -> Iterator[Rows]:
    """The rows [n] of each of `repeats` resamples of the subjects, those of one together."""
    rows_of: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows_of.setdefault(subject, []).append(row)
    ordered, sizes = np.concatenate([*rows_of.values()]), np.array([*map(len, rows_of.values())])
    for drawn in np.random.default_rng(seed).integers(len(sizes), size=(repeats, len(sizes))):
        yield _drawn(ordered, sizes, drawn)


def _percentiles(value: float, resampled: Sequence[float]) -> Interval:
    defined = np.array(resampled)[np.isfinite(resampled)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined.size else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))


def _drawn(ordered: Rows, sizes: Rows, drawn: Rows) -> Rows:
    """The rows of the `drawn` subjects, each as many as `sizes` says of `ordered` ones, in one step for all."""
    many = sizes[drawn]
    begins, ends = (sizes.cumsum() - sizes)[drawn], many.cumsum()
    rows: Rows = ordered[np.repeat(begins - ends + many, many) + np.arange(ends[-1])]
    return rows
