"""Whether a difference between two methods is more than chance, beside what subjects and runs there were."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def crossed_p(differences: ArrayLike, clusters: Sequence[Hashable]) -> float:
    """Two-sided p of a mean of 0 of paired `differences` [S, N]: S seeds of both methods, on the same N scans.

    A t test over seeds and subjects alike (min F', Clark 1973): the variance of the mean is that by seeds plus that
    by subjects, with Satterthwaite's degrees of freedom. So it is p of what training and testing anew would give; with
    one seed it is the paired t test over subjects, and says nothing of training. Of two seeds that differ much 11 % of
    p are below 0.05 by chance, of three 8 %. `clusters` [N] say whose each scan is. 1 where nothing differs, nan for a
    single subject.

    >>> round(crossed_p([[1.0, 2.0, 3.0]], "abc"), 4)
    0.0742
    """
    from scipy.stats import t

    values = _by_cluster(np.atleast_2d(np.asarray(differences, np.float64)), clusters)
    if not values.any():
        return 1.0
    if values.shape[1] < 2:
        return float("nan")
    means = [values.mean(axis) for axis in (0, 1) if values.shape[1 - axis] > 1]
    variances = [float(of.var(ddof=1)) / of.size for of in means]
    variance = sum(variances)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(own**2 / (of.size - 1) for own, of in zip(variances, means, strict=True))
    return float(2 * t.sf(abs(values.mean()) / np.sqrt(variance), freedom))


def corrected_p(differences: ArrayLike, folds: int) -> float:
    """Two-sided p of a mean of 0 of the `differences` [J] of runs over seeds and at least two `folds`.

    The corrected resampled t test (Nadeau & Bengio 2003; for repeated folds Bouckaert & Frank 2004): training sets of
    folds overlap, so the variance of the mean is (1 / J + left out / trained on) times that of the runs, where the last
    is 1 / (folds - 1). J - 1 degrees of freedom; 1 where nothing differs, nan for a single run.

    >>> round(corrected_p([1.0, 2.0, 3.0], 3), 4)
    0.1598
    """
    from scipy.stats import t

    of_runs = np.asarray(differences, np.float64)
    if not of_runs.any():
        return 1.0
    if of_runs.size < 2:
        return float("nan")
    variance = (1 / of_runs.size + 1 / (folds - 1)) * of_runs.var(ddof=1)
    with np.errstate(divide="ignore"):
        return float(2 * t.sf(abs(of_runs.mean()) / np.sqrt(variance), of_runs.size - 1))


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
