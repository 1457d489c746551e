"""How much the label changes between neighbours in an embedding: Lipschitz factors (SupReMix, Eq. 7)."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_CONSTANT = 1e-6
"""Coordinates that vary less than this, beside their size, only vary by rounding."""
_BLOCK = 512


def lipschitz_factors(features: ArrayLike, labels: ArrayLike, subjects: Sequence[Hashable]) -> FloatArray:
    """sqrt(d) |y - y'| / |z - z'| [N] of each row of features [N, F] and the row z' of another subject nearest to it.

    z is standardised over the rows in each coordinate, and d is the number of those that vary. In label units; nan
    where both are in one place, and where there is no other subject.

    >>> lipschitz_factors([[0.0], [1.0], [3.0]], [10.0, 12.0, 20.0], "abc").round(3).tolist()
    [2.494, 2.494, 4.989]
    """
    z, y = np.asarray(features, np.float64), np.asarray(labels, np.float64)
    spread = z.std(0)
    varies = spread > _CONSTANT * np.abs(z).max(0)
    standardised = (z[:, varies] - z[:, varies].mean(0)) / spread[varies]
    places = {subject: place for place, subject in enumerate(dict.fromkeys(subjects))}
    whose = np.array([places[subject] for subject in subjects])
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(y), _BLOCK))
    return np.concatenate([_factors(standardised, y, whose, block) for block in blocks])


def z_gap(reference: ArrayLike, own: ArrayLike) -> float:
    """(mean(reference) - mean(own)) / sqrt(var(reference) + var(own)) of factors [N] each, nan left out.

    >>> z_gap([2.0, 4.0], [1.0, 1.0])
    2.0
    """
    means, variances = zip(*(_moments(factors) for factors in (reference, own)), strict=True)
    spread = np.sqrt(sum(variances))
    return float((means[0] - means[1]) / spread) if spread else float("nan")


def _moments(factors: ArrayLike) -> tuple[float, float]:
    known = np.asarray(factors, np.float64)
    known = known[np.isfinite(known)]
    return (float(known.mean()), float(known.var())) if known.size else (float("nan"), float("nan"))


def _factors(z: FloatArray, y: FloatArray, whose: NDArray[np.int64], block: slice) -> FloatArray:
    """Those of a block of rows of standardised z [N, d]."""
    from scipy.spatial.distance import cdist

    if not z.size:
        return np.full(y[block].shape, np.nan)
    distances = cdist(z[block], z)
    distances[whose[block, None] == whose] = np.inf
    nearest = distances.argmin(1)
    between = distances[np.arange(len(nearest)), nearest]
    between[(between == 0) | np.isinf(between)] = np.nan
    factors: FloatArray = np.sqrt(z.shape[1]) * np.abs(y[block] - y[nearest]) / between
    return factors
