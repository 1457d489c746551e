"""Volumes in the closest RAS+ order, the same for every format that knows where its voxels lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image, UnreadableError

FLAT = 1e-4
"""Axes that span less than this share of a box with the same edges lie in a plane."""


def to_ras(volume: NDArray[Any], affine: NDArray[np.float64]) -> Image:
    """A volume [X, Y, Z], or a series [X, Y, Z, T], as an image [1 or T, X', Y', Z'] in the closest RAS+ order.

    `affine` [4, 4] takes the volume's indices to millimetres in RAS+. Nothing is interpolated: axes change places and
    direction only, so files that differ in how they were written become equal voxel by voxel.

    Raises UnreadableError where `affine` is not finite or flattens the volume.
    """
    from nibabel.orientations import aff2axcodes, apply_orientation, inv_ornt_aff, io_orientation

    check_affine(affine)
    turn = io_orientation(affine)
    turned = apply_orientation(volume, turn)
    return Image(
        values=np.moveaxis(turned, 3, 0) if turned.ndim == 4 else turned[None],
        affine=affine @ inv_ornt_aff(turn, volume.shape[:3]),
        orientation="".join(aff2axcodes(affine)),
    )


def check_affine(affine: NDArray[np.float64]) -> None:
    """Raise UnreadableError where `affine` [4, 4] is not finite, or its axes are zero or lie in a plane."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all():
        raise UnreadableError("its affine is not finite")
    if not edges.all() or abs(np.linalg.det(affine[:3, :3] / edges)) < FLAT:
        raise UnreadableError(f"its affine is singular: {affine[:3, :3].tolist()}")
