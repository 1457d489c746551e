"""Images as ITK has them, LPS+ and of up to four axes, as those that readers give."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers._orient import check_affine, to_ras
from contrasweep.trainers.data.readers.base import Header, Image, UnreadableError


def placed(
    values: NDArray[Any], spacing: Sequence[float], origin: Sequence[float], axes: NDArray[np.float64], known: bool
) -> Image:
    """Values [C, X, Y] as they are, [C, X, Y, Z] and [1, X, Y, Z, T] in the closest RAS+ order.

    `spacing` [n] and `origin` [n] are in millimetres, and the columns of `axes` [n, n] the directions of the image's n
    axes in LPS+; `known` says whether the format told them. Raises UnreadableError on other numbers of axes.
    """
    if values.ndim not in (3, 4, 5) or (values.ndim == 5 and len(values) > 1):
        shown = f"{' x '.join(map(str, values.shape[1:]))} with {len(values)} components"
        raise UnreadableError(f"has shape {shown}; allowed: three axes and a series of them")
    in_space = min(values.ndim - 1, 3)
    affine = np.eye(4)
    affine[:in_space, :in_space] = axes[:in_space, :in_space] * np.array(spacing[:in_space])
    affine[:in_space, 3] = origin[:in_space]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    if values.ndim == 3:
        check_affine(affine)
        return Image(values=values, affine=affine)
    image = to_ras(values[0] if values.ndim == 5 else np.moveaxis(values, 0, -1), affine)
    return image if known else replace(image, orientation=None)


def header_of(image: Image) -> Header:
    """What is known of an image without its values."""
    return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation)
