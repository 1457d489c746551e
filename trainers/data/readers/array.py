"""NumPy arrays in .npy files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data.readers import UnreadableError, register


@register(".npy")
class Array:
    """The array as it is, channels first: [C, *S]; a 1-D array becomes [1, L].

    A volume saved without a channel axis gets one from the transform
    `EnsureChannelFirst: {channel_dim: no_channel}`. Pickled objects are refused.
    """

    def read(self, path: Path) -> NDArray[Any]:
        """Values as stored; anything but real numbers is refused."""
        return _channel_first(np.load(path, allow_pickle=False))

    def shape(self, path: Path) -> tuple[int, ...]:
        """(C, *S) from the file's header."""
        return _channel_first(np.load(path, mmap_mode="r", allow_pickle=False)).shape


def _channel_first(values: Any) -> NDArray[Any]:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf" or not values.ndim:
        raise UnreadableError("holds no array of real numbers")
    return values[None] if values.ndim == 1 else values
