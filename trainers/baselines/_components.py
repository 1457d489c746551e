"""Principal components of images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 100
COUNTS = (10, 30, MOST)
"""How many components a baseline may choose to read."""


def principal_components(
    voxels: NDArray[np.float32], seed: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """What gives scores [M, F] of voxels [M, V]: up to MOST components of `voxels` [N, V], the widest first.

    Scores are divided by the standard deviation of the first component. Images that are all alike have the score 0.
    """
    from sklearn.decomposition import PCA  # a second to import

    if not np.ptp(voxels, axis=0).any():
        return lambda images: np.zeros((len(images), 1))
    count = min(MOST, *voxels.shape)
    pca = PCA(count, svd_solver="randomized", random_state=seed).fit(voxels)
    scale = float(np.sqrt(pca.explained_variance_[0]))
    return lambda images: np.asarray(pca.transform(images), np.float64) / scale


def first_components(count: int) -> Any:
    """A scikit-learn transformer that keeps the first `count` scores [N, F]."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(lambda scores: scores[:, :count])
