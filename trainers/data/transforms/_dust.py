"""What resampling leaves where there was nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DUST = 1e-6
"""Values below this share of the largest are rounding errors of interpolation."""


def without_dust(values: NDArray[Any]) -> NDArray[Any]:
    """`values` with dust set to exactly 0: steps that go by nonzero voxels would take it for brain.

    >>> without_dust(np.array([0.0, 1e-12, 3e-3, 1.0])).tolist()
    [0.0, 0.0, 0.003, 1.0]
    """
    size = np.abs(values)
    return np.where(size < DUST * size.max(), np.zeros_like(values), values)
