"""Checks that own transforms share: of arguments (UserError) and of images (UnreadableError), in one line."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import read_header
from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.errors import UserError


def require_volume(name: str, path: Path) -> None:
    """`path` holds one volume, and says where its voxels lie."""
    try:
        header = read_header(path)
    except UnreadableError as error:
        raise UserError(f"{name}: {path} {error}") from error
    if header.affine is None or len(header.shape) != 4 or header.shape[0] != 1:
        raise UserError(f"{name}: {path} is {list(header.shape)}; allowed: one volume with voxel sizes")


def require_dims(transform: str, image: Image, takes: str, *allowed: int) -> None:
    """Values [C, *S] have one of the `allowed` numbers of spatial dimensions; `takes` says which in words."""
    if image.values.ndim - 1 not in allowed:
        raise UnreadableError(f"{transform} takes {takes}; this image is {list(image.values.shape)}")


def require_affine(transform: str, image: Image) -> NDArray[np.float64]:
    """The image's affine [4, 4]."""
    if image.affine is None:
        raise UnreadableError(f"{transform} needs voxel sizes, which this format does not tell")
    return image.affine
