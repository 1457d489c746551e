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
    of_runs: Callable[[FloatArray, Rows], FloatArray],
    told: Callable[[FloatArray], float],
    values: Sequence[FloatArray],
    subjects: Sequence[Hashable],
    *,
    trainings: Sequence[Hashable] = (),
    folds: int = 0,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """What is `told` of several methods, with its 95 % percentile interval over the subjects and the runs.

    `values` are each method's, [J, N]: of J runs, on the rows of `subjects` [N]. `of_runs` is given a method's values
    [J, n] on drawn rows, and these rows, the same for all, and gives a figure of each run [J]; `told` is given the mean
    figure of each method.

    Subjects are resampled. To each mean an error is added that is t distributed with J - 1 degrees of freedom, and as
    large as that of the mean (`mean_error`), as few runs say little of how much they vary. Methods that have one key in
    `trainings` are other readings of the same J runs, and their errors go together; by default none are. With one run
    the interval says nothing of training.

    >>> crossed_bootstrap(lambda own, rows: own.mean(1), lambda means: means[0], [np.ones((2, 2))], "ab", repeats=10)
    Interval(value=1.0, low=1.0, high=1.0)
    """
    rng = np.random.default_rng((seed, 1))
    keys = [*trainings] or [*range(len(values))]
    runs = {key: len(own) for key, own in zip(keys, values, strict=True)}

    def resampled(rows: Rows) -> float:
        errors = {key: _errors(rng, count, folds) for key, count in runs.items()}
        figures = [of_runs(own[:, rows], rows) for own in values]
        means = [own.mean() + (own - own.mean()) @ errors[key] for key, own in zip(keys, figures, strict=True)]
        return told(np.array(means))

    value = told(np.array([of_runs(own, np.arange(len(subjects))).mean() for own in values]))
    return _percentiles(value, [resampled(rows) for rows in resamples(subjects, repeats, seed)])


def mean_error(runs: int, folds: int = 0) -> float:
    """The standard error of the mean of so many runs over seeds and folds, in their standard deviations.

    With folds training sets overlap: its square is not 1 / runs but as much more as is left out of a training set for
    each that is in it, 1 / (folds - 1) (Nadeau & Bengio 2003; for repeated folds Bouckaert & Frank 2004).

    >>> mean_error(4), mean_error(4, folds=2) ** 2
    (0.5, 1.25)
    """
    return float(np.sqrt(1 / runs + (1 / (folds - 1) if folds > 1 else 0)))


def resamples(subjects: Sequence[Hashable], repeats: int, seed: int = 0) -> Iterator[Rows]:
    """The rows [n] of each of `repeats` resamples of the subjects, those of one together."""
    rows_of: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows_of.setdefault(subject, []).append(row)
    ordered, sizes = np.concatenate([*rows_of.values()]), np.array([*map(len, rows_of.values())])
    for drawn in np.random.default_rng(seed).integers(len(sizes), size=(repeats, len(sizes))):
        yield _drawn(ordered, sizes, drawn)


def _errors(rng: np.random.Generator, runs: int, folds: int) -> FloatArray:
    """Weights [J] with which the deviations of J runs add up to the error of their mean, 0 for a single one."""
    if runs < 2:
        return np.zeros(runs)
    scale = mean_error(runs, folds) / np.sqrt(rng.chisquare(runs - 1))
    weights: FloatArray = scale * rng.standard_normal(runs)
    return weights


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
