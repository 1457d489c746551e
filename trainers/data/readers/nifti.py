"""NIfTI volumes through nibabel."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from trainers.data.readers import UnreadableError, register


@register(".nii")
@register(".nii.gz")
class Nifti:
    """[1, X, Y, Z], or [T, X, Y, Z] from a series, axes in the closest RAS+ order, scaled as the header says.

    Reorienting makes files that differ only in how they were written equal voxel by voxel.
    """

    def read(self, path: Path) -> NDArray[Any]:
        """Scaled values in the header's unit."""
        image = _load(path)
        if len(image.shape) >= 3:
            image = nib.as_closest_canonical(image)
        volume = np.asanyarray(image.dataobj, dtype=np.float32)
        return np.moveaxis(volume, 3, 0) if volume.ndim == 4 else volume[None]

    def shape(self, path: Path) -> tuple[int, ...]:
        """(1 or T, X, Y, Z) after reorienting."""
        image = _load(path)
        spatial = list(image.shape[:3])
        if len(spatial) == 3:
            for axis, (target, _) in enumerate(io_orientation(image.affine)):
                spatial[int(target)] = image.shape[axis]
        return (image.shape[3] if len(image.shape) == 4 else 1, *spatial)


def _load(path: Path) -> Any:
    image: Any = nib.load(path)
    if len(image.shape) > 4:
        raise UnreadableError(f"has {len(image.shape)} dimensions {image.shape}; allowed: up to 3, and a series of 3")
    return image
