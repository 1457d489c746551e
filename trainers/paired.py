"""Two models on the same subjects."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from contrasweep.trainers.interval import Interval
from contrasweep.trainers.resampling import subject_bootstrap


def paired_difference(one: ArrayLike, other: ArrayLike, clusters: Sequence[Hashable]) -> Interval:
    """Mean of `one` less `other`, errors [N] of the same scans, with its 95 % percentile bootstrap interval.

    `clusters` [N] say whose each scan is: subjects are drawn, each with all its scans and with both errors.

    >>> paired_difference([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "abc")
    Interval(value=-1.0, low=-1.0, high=-1.0)
    """
    differences = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    return subject_bootstrap(lambda rows: float(differences[rows].mean()), clusters)
