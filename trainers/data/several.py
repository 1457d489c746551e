"""Several images of a scan, whose channels follow each other: their names in reasons, and the grid that they share."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image, UnreadableError

AFFINE_TOLERANCE = 0.05
"""How far a corner voxel may lie from its place in another image, as a share of the voxel's edge: programs round."""


def of_image(name: str, reason: str) -> str:
    """A reason behind the name of the image that it is about; an image that is a scan's only one has none.

    >>> of_image("t2", "no such image"), of_image("", "no such image")
    ('t2: no such image', 'no such image')
    """
    return f"{name}: {reason}" if name else reason


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put an image's name in front of why it cannot be used."""
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(of_image(name, str(error))) from error


def check_grids(images: Mapping[str, Image]) -> None:
    """Raise UnreadableError where an image by its name is not on the first one's grid.

    That is another spatial shape or, among those that tell where their voxels lie, another affine.
    """
    first = next(iter(images))
    space = images[first].values.shape[1:]
    for name, image in images.items():
        if image.values.shape[1:] != space:
            told = f"shape {list(image.values.shape[1:])} differs from {first}'s {list(space)}"
            raise UnreadableError(of_image(name, f"{told}; images of one scan must be on one grid after transforms"))
    placed = {name: image.affine for name, image in images.items() if image.affine is not None}
    for name, affine in placed.items():
        first = next(iter(placed))
        if not same_places(placed[first], affine, space):
            told = f"affine {_shown(affine)} differs from {first}'s {_shown(placed[first])}"
            raise UnreadableError(of_image(name, f"{told}; images of one scan must be on one grid after transforms"))


def same_places(one: NDArray[np.float64], other: NDArray[np.float64], space: Sequence[int]) -> bool:
    """Whether both affines [4, 4] put the voxels of an image [*S] in the same places, but for rounding.

    >>> [same_places(np.eye(4), np.diag([1, 1, edge, 1]), (9, 9, 9)) for edge in (1.000001, 1.1)]
    [True, False]
    """
    corners = np.array([*itertools.product(*((0, length - 1) for length in (*space, 1, 1, 1)[:3]))])
    off = corners @ (other - one)[:3, :3].T + (other - one)[:3, 3]
    edge = np.linalg.norm(one[:3, :3], axis=0).min()
    return bool(np.linalg.norm(off, axis=1).max() <= AFFINE_TOLERANCE * edge)


def _shown(affine: NDArray[np.float64]) -> str:
    """Its first three rows; the fourth is always the same."""
    rows = (", ".join(f"{value:.6g}" for value in row + 0.0) for row in affine[:3])  # + 0.0 leaves no minus at zeros
    return f"[{'; '.join(rows)}]"
