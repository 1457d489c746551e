"""Two models on the same subjects."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from trainers.interval import Interval

_REPEATS = 2000


def paired_difference(one: ArrayLike, other: ArrayLike, clusters: Sequence[Hashable]) -> Interval:
    """Mean of `one` less `other`, errors [N] of the same scans, with its 95 % percentile bootstrap interval.

    `clusters` [N] say whose each scan is: subjects are drawn, each with all its scans and with both errors.

    >>> paired_difference([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "abc")
    Interval(value=-1.0, low=-1.0, high=-1.0)
    """
    differences = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    place = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    places = np.array([place[cluster] for cluster in clusters])
    sums, scans = np.bincount(places, differences), np.bincount(places)
    random = np.random.default_rng(0)
    draws = (random.integers(len(sums), size=len(sums)) for _ in range(_REPEATS))
    low, high = np.percentile([sums[drawn].sum() / scans[drawn].sum() for drawn in draws], [2.5, 97.5])
    return Interval(float(sums.sum() / scans.sum()), float(low), float(high))
