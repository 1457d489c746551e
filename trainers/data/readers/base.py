"""What a reader is, and what it gives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 2**31
"""The most values in one image: 8 GiB of float32. Headers that claim more are broken."""

Form = Literal["sform", "qform"]
"""Either place where a NIfTI header says how its voxels lie."""


class UnreadableError(Exception):
    """A file that holds no image we can use; the message is the reason, in one line."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Placed:
    """Where an image's voxels lie, as far as its format tells.

    `affine` [4, 4] takes voxel indices (of the axes that `read` gives) to millimetres in RAS+ world space;
    `orientation` are the axes as the file holds them, such as "LPS", before any reordering; `step_s` are the seconds
    from one volume of a series to the next.
    """

    affine: NDArray[np.float64] | None = None
    orientation: str | None = None
    step_s: float | None = None

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """The voxel's edges in millimetres, or None where the format tells none."""
        return None if self.affine is None else tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())


@dataclass(frozen=True, eq=False, kw_only=True)
class Image(Placed):
    """`values` [C, *S], channels first."""

    values: NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Header(Placed):
    """What is known without decoding: `shape` (C, *S)."""

    shape: tuple[int, ...]


class Reader(Protocol):
    """Reads one format. `read` and `header` may raise anything on a broken file; the caller names the file.

    `path` is a file that can be opened and is not empty, or a folder where the reader is registered for `FOLDER`.
    The constructor of a format that may say twice where its voxels lie takes `affine`, which of both counts.
    """

    def read(self, path: Path) -> Image:
        """The image [C, *S], channels first."""
        ...

    def header(self, path: Path) -> Header:
        """What `read` would give, without decoding the image."""
        ...

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """Write a small image to `path`, whose ending is one of the format's, for the contract tests to read.

        Returns the shape (C, *S) that is read from it. Where the format is a folder, at least two files go there.
        """
        ...


@runtime_checkable
class Scattered(Protocol):
    """A reader of a format whose images may be in several files."""

    def files(self, path: Path) -> Sequence[Path]:
        """All files that the image in `path` is read from, `path` among them."""
        ...


def check_shape(shape: Sequence[int]) -> None:
    """Raise UnreadableError where a header's claim is no image: an edge below 1, or more than MOST_VALUES."""
    if min(shape, default=0) < 1:
        raise UnreadableError(f"holds no values: its shape is {' x '.join(map(str, shape)) or 'none'}")
    if math.prod(shape) > MOST_VALUES:
        raise UnreadableError(f"claims {' x '.join(map(str, shape))} values; allowed: up to {MOST_VALUES}")
