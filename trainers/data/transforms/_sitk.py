"""Volumes on their way into SimpleITK and back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 16
"""Voxels that an axis keeps where an image is shrunk for speed."""
_FLIP = np.diag([-1.0, -1.0, 1.0])
"""RAS+ to LPS+, which is ITK's."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in ITK depend on how many threads share them; with one, results are the same bits on every machine."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def to_sitk(volume: NDArray[Any], affine: NDArray[np.float64] | None = None) -> Any:
    """A float32 SimpleITK image from a volume [X, Y, Z] or a picture [H, W], placed by its RAS+ affine [4, 4]."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.T, dtype=np.float32))
    if affine is not None:
        axes = _FLIP @ affine[:3, :3]
        spacing = np.linalg.norm(axes, axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((axes / spacing).ravel().tolist())
        image.SetOrigin((_FLIP @ affine[:3, 3]).tolist())
    return image


def to_array(image: Any) -> NDArray[Any]:
    """The values [X, Y, Z] or [H, W] of a SimpleITK image."""
    import SimpleITK as sitk

    return np.ascontiguousarray(sitk.GetArrayFromImage(image).T)


def shrinks(shape: Sequence[int], most: int) -> list[int]:
    """Factors to shrink each axis by: `most`, and less on an axis that would be left with fewer than 16 voxels.

    >>> shrinks((100, 100, 20), most=4)
    [4, 4, 1]
    """
    return [max(1, min(most, side // FEWEST)) for side in shape]
