"""How far a mean over few seeds can be trusted."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import t as student


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The mean, and both ends of its Student interval; of one value all three are that value.

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, mean, mean
    margin = float(student.ppf((1 + confidence) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean, mean - margin, mean + margin
