"""A head with enough inside to be registered by, at any place, size and resolution."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]
SIDE, SPACING_MM = 32, 5.6


def centred(side: int = SIDE, spacing_mm: float = SPACING_MM) -> Array:
    """The affine [4, 4] of a cube of voxels whose middle is the origin."""
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = -spacing_mm * (side - 1) / 2
    return affine


def world(shape: tuple[int, ...], affine: Array) -> Array:
    """Where the voxels are, in millimetres [3, X, Y, Z]."""
    return np.tensordot(affine[:3, :3], np.indices(shape), 1) + affine[:3, 3, None, None, None]


def head(places: Array) -> Array:
    """Brightness at places [3, ...]: an ellipsoid with ventricles, a fissure, folds, a cerebellum and a stem."""
    x, y, z = places
    shell = np.sqrt((x / 62) ** 2 + (y / 78) ** 2 + ((z - 5) / 58) ** 2)
    value = np.where(shell < 1, 60.0, 0) + np.where(shell < 0.8, 40, 0)
    value -= 50 * (((x - 15) / 8) ** 2 + ((y - 5) / 22) ** 2 + ((z - 10) / 12) ** 2 < 1)
    value -= 50 * (((x + 12) / 7) ** 2 + ((y - 8) / 25) ** 2 + ((z - 12) / 10) ** 2 < 1)
    value += 30 * (((x - 25) / 10) ** 2 + ((y + 40) / 10) ** 2 + ((z + 20) / 10) ** 2 < 1)
    value += np.where((shell < 1) & (shell > 0.8), 25 * np.sin(x / 7) * np.sin(y / 8 + 0.5) * np.sin(z / 6 + 1), 0)
    value = np.where((np.abs(x) < 2.5) & (z > 10) & (shell < 1), 5, value)
    value = np.where((x / 40) ** 2 + ((y + 50) / 26) ** 2 + ((z + 48) / 22) ** 2 < 1, 70, value)
    return np.where(((x / 9) ** 2 + ((y + 18) / 9) ** 2 < 1) & (z < -20) & (z > -75), 80, value)


def volume(motion: Array | None = None, affine: Array | None = None, side: int = SIDE) -> NDArray[np.float32]:
    """The head [X, Y, Z] after `motion` [4, 4], slightly blurred as by a scanner, and zero around it."""
    back = np.linalg.inv(np.eye(4) if motion is None else motion)
    places = world((side,) * 3, centred(side) if affine is None else affine)
    moved = np.tensordot(back[:3, :3], places, 1) + back[:3, 3, None, None, None]
    blurred = gaussian_filter(head(moved), 0.7).astype(np.float32)
    return np.where(blurred > 1, blurred, 0)


def write(path: Path, values: NDArray[np.float32], affine: Array) -> Path:
    """A NIfTI file."""
    nib.save(nib.Nifti1Image(values, affine), path)
    return path
