"""Checks that own transforms share: of arguments (ValueError) and of images (UnreadableError), in one line."""

import math
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trainers.data.readers import read_header
from trainers.data.readers.base import Image, UnreadableError


def require_count(name: str, value: object, least: int = 1) -> None:
    """`value` is a whole number from `least`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}; allowed: whole numbers from {least}")


def require_within(low: float, high: float, **values: object) -> None:
    """Every value is a finite number above `low`, up to `high`."""
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low < cast(float, value) <= high:
            limit = f", up to {high:g}" if math.isfinite(high) else ""
            raise ValueError(f"{name} is {value!r}; allowed: numbers above {low:g}{limit}")


def require_volume(name: str, path: Path) -> None:
    """`path` holds one volume, and says where its voxels lie."""
    try:
        header = read_header(path)
    except UnreadableError as error:
        raise ValueError(f"{name}: {path} {error}") from error
    if header.affine is None or len(header.shape) != 4 or header.shape[0] != 1:
        raise ValueError(f"{name}: {path} is {list(header.shape)}; allowed: one volume with voxel sizes")


def require_dims(transform: str, image: Image, takes: str, *allowed: int) -> None:
    """Values [C, *S] have one of the `allowed` numbers of spatial dimensions; `takes` says which in words."""
    if image.values.ndim - 1 not in allowed:
        raise UnreadableError(f"{transform} takes {takes}; this image is {list(image.values.shape)}")


def require_affine(transform: str, image: Image) -> NDArray[np.float64]:
    """The image's affine [4, 4]."""
    if image.affine is None:
        raise UnreadableError(f"{transform} needs voxel sizes, which this format does not tell")
    return image.affine
