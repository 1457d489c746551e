"""Whether a difference between two methods is more than chance, beside what subjects and runs there were."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.resampling import mean_error

FloatArray = NDArray[np.float64]
_QUANTILES = 1000


def crossed_p(differences: ArrayLike, clusters: Sequence[Hashable], folds: int = 0) -> float:
    """Two-sided p of a mean of 0 of paired `differences` [J, N]: J runs of both methods, on the same N scans.

    Over runs and subjects alike, so that it is p of what training and testing anew would give: the error of the mean is
    that by runs, whose standard error is `trainers.resampling.mean_error` (with `folds` corrected for what training
    sets share), plus that by subjects, each t distributed with its own degrees of freedom (the Behrens-Fisher solution;
    Satterthwaite's has too many p below 0.05 where runs are few). With one run it is the paired t test over subjects,
    and says nothing of training. `clusters` [N] say whose each scan is. 1 where nothing differs, nan for one subject.

    >>> round(crossed_p([[1.0, 2.0, 3.0]], "abc"), 4)
    0.0742
    """
    values = _by_cluster(np.atleast_2d(np.asarray(differences, np.float64)), clusters)
    if not values.any():
        return 1.0
    runs, subjects = values.shape
    if subjects < 2:
        return float("nan")
    by_runs = float(values.mean(1).std(ddof=1)) * mean_error(runs, folds) if runs > 1 else 0.0
    by_subjects = float(values.mean(0).std(ddof=1)) * mean_error(subjects)
    return _beyond(abs(float(values.mean())), (by_runs, max(1, runs - 1)), (by_subjects, subjects - 1))


def _beyond(mean: float, one: tuple[float, int], other: tuple[float, int]) -> float:
    """How often the sum of two t distributed errors, of standard error and degrees of freedom, is beyond +- `mean`."""
    from scipy.special import stdtr, stdtrit

    (wide, freedom), (narrow, others) = sorted((one, other), reverse=True)
    if not wide:
        return 0.0
    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    left = narrow * stdtrit(others, quantiles) if narrow else np.zeros(1)
    beyond = stdtr(freedom, (left - mean) / wide) + stdtr(freedom, (-left - mean) / wide)
    return float(beyond.mean())


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's p of each of several comparisons, so that with chance alone any is below 0.05 one time in twenty.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    found, least = [float("nan")] * len(ps), 0.0
    known = sorted((p, place) for place, p in enumerate(ps) if p == p)
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        found[place] = least
    return found


def _by_cluster(differences: FloatArray, clusters: Sequence[Hashable]) -> FloatArray:
    """[S, subjects], whose means are those of differences [S, N]: around the mean, sums over each one's scans."""
    whose = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    places, mean = np.array([whose[cluster] for cluster in clusters]), differences.mean()
    sums = np.array([np.bincount(places, row - mean, len(whose)) for row in differences])
    of_clusters: FloatArray = mean + sums * len(whose) / len(clusters)
    return of_clusters
