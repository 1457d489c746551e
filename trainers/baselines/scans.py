"""What baselines read: images with few enough voxels, and what the table tells beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.covariates import Cells
from contrasweep.trainers.data.store import StoredSubject, VolumeStore, in_parts

MOST_VOXELS = 20_000
MOST_VALUES = 2**26
"""Of all scans together: a quarter of a GiB as float32."""


@dataclass(frozen=True, eq=False)
class Scans:
    """N scans: their voxels [N, V] float32, and by column what the table tells beside each image, `cells` [N]."""

    voxels: NDArray[np.float32]
    cells: Sequence[Cells]

    def __len__(self) -> int:
        return len(self.voxels)

    def at(self, rows: NDArray[np.int64]) -> "Scans":
        """Some of them."""
        return Scans(self.voxels[rows], [self.cells[row] for row in rows])


@dataclass(frozen=True)
class Reader:
    """Reads scans for baselines: of a large image the means over blocks of `block` voxels a side.

    Where an image has more channels than are allowed voxels, every `stride`-th of its values is kept.
    """

    block: int
    stride: int

    @classmethod
    def of(cls, image_shape: Sequence[int], scans: int) -> "Reader":
        """One for `scans` images of `image_shape` (C, *S), of which few enough voxels are left.

        >>> Reader.of((1, 64, 64, 64), 100)
        Reader(block=3, stride=1)
        """
        most = max(1, min(MOST_VOXELS, MOST_VALUES // max(scans, 1)))
        channels, *space = image_shape
        block = 1
        while _blocks(channels, space, block) > most and block < max(space, default=1):
            block += 1
        return cls(block, -(-_blocks(channels, space, block) // most))

    @property
    def words(self) -> str:
        """What was left of the images; empty where that is all."""
        averaged = f"means over blocks of {self.block} voxels a side" if self.block > 1 else ""
        thinned = f"1 of {self.stride} values" if self.stride > 1 else ""
        return ", ".join(word for word in (averaged, thinned) if word)

    def voxels(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Those [N, V] of images [N, C, *S]."""
        kept: NDArray[Any] = images.astype(np.float32)
        for axis in range(2, images.ndim):
            starts = np.arange(0, images.shape[axis], self.block)
            sizes = np.diff(starts, append=images.shape[axis]).astype(np.float32)
            shape = [-1 if other == axis else 1 for other in range(images.ndim)]
            kept = np.add.reduceat(kept, starts, axis=axis) / sizes.reshape(shape)
        return np.ascontiguousarray(kept.reshape(len(images), -1)[:, :: self.stride])

    def scans(self, store: VolumeStore, images: NDArray[Any], rows: NDArray[np.int64]) -> Scans:
        """Those in `rows` of a store, whose images [N, C, *S] were read."""
        label = store.manifest.labels.column
        return Scans(self.voxels(images), [_told(store.subjects[row], label) for row in rows])

    def read(self, store: VolumeStore, rows: NDArray[np.int64]) -> Scans:
        """Those in sorted `rows` of a store, read in parts of bounded size."""
        parts = [self.scans(store, part.images, part.rows) for part in in_parts(store, rows)]
        return Scans(np.concatenate([part.voxels for part in parts]), [cells for part in parts for cells in part.cells])


def _blocks(channels: int, space: Sequence[int], block: int) -> int:
    """How many voxels are left of an image."""
    return channels * math.prod(-(-size // block) for size in space)


def _told(scan: StoredSubject, label: str) -> Cells:
    """The covariates and the columns that tell site and sex, but for the label's."""
    return {column: cell for column, cell in (scan.described | scan.covariates).items() if column != label}
