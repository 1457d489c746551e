"""Images as SimpleITK writes them, for the tests of its formats."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from contrasweep.trainers.data import readers

VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
TILTED = np.array([[0.0, 0.6, -0.8], [-1, 0, 0], [0, 0.8, 0.6]])
"""Directions of the axes in LPS+, as columns."""


def itk_image(values: NDArray[Any] = VOLUME, is_vector: bool = False) -> Any:
    """[X, Y, Z] or, of several components, [X, Y, Z, C], on a tilted grid of 1 x 2 x 3 mm."""
    image = sitk.GetImageFromArray(np.moveaxis(values.T, 0, -1) if is_vector else values.T, isVector=is_vector)
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((5, 6, 7))
    image.SetDirection(TILTED.ravel().tolist())
    return image


def assert_same_as_nifti(path: Path, image: Any) -> None:
    """`path` is read as `image` is where SimpleITK writes it as NIfTI, which also turns axes to RAS+."""
    sitk.WriteImage(image, str(path.parent / "itk.nii"))
    read, nifti = readers.read(path), readers.read(path.parent / "itk.nii")
    np.testing.assert_array_equal(read.values, nifti.values)
    assert read.affine is not None and nifti.affine is not None
    np.testing.assert_allclose(read.affine, nifti.affine, atol=1e-5)
    assert read.orientation == nifti.orientation
    assert readers.read_header(path).shape == read.values.shape
