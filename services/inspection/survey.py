"""One bounded pass over a store's images: statistics, thumbnails, and a middle slice of some."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.store import VolumeStore

MOST_COMPARED = 20_000
"""Scans beyond which look-alikes are not searched for: all pairs are compared."""
_CHUNK_BYTES = 64 * 2**20
_EDGE, _SLICE_EDGE = 8, 224

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Survey:
    """Of the stored images [n]: mean, sd and share of zeros; `thumbnails` [n, d], unless there are too many scans.

    `slices` are middle slices [H, W] or, in colour, [H, W, 3] of the rows that were asked for.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    zeros: NDArray[np.float64]
    thumbnails: NDArray[np.float32] | None
    slices: dict[int, FloatArray] = field(default_factory=dict)


def survey(store: VolumeStore, shown: Collection[int], progress: Callable[[int, int], None]) -> Survey:
    """Read every image once, a few at a time, and keep little of each."""
    count = len(store.subjects)
    size = max(1, _CHUNK_BYTES // store.volume_nbytes)
    mean, sd, zeros = np.empty(count), np.empty(count), np.empty(count)
    thumbnails: list[NDArray[np.float32]] = []
    slices = {}
    for start in range(0, count, size):
        rows = np.arange(start, min(start + size, count))
        for row, image in zip(rows.tolist(), store.read_rows(rows), strict=True):
            mean[row], sd[row] = image.mean(dtype=np.float64), image.std(dtype=np.float64)
            zeros[row] = 1 - np.count_nonzero(image) / image.size
            if count <= MOST_COMPARED:
                thumbnails.append(_thumbnail(image))
            if row in shown:
                slices[row] = middle_slice(image, placed=store.subjects[row].source.spacing_mm is not None)
        progress(int(rows[-1]) + 1, count)
    return Survey(mean, sd, zeros, np.stack(thumbnails) if thumbnails else None, slices)


def spread_over(labels: NDArray[np.float64], most: int) -> list[int]:
    """Up to `most` rows, evenly spread over the labels [n] in their order."""
    order = np.argsort(labels, kind="stable")
    places = np.linspace(0, len(labels) - 1, min(most, len(labels))).round().astype(np.int64)
    return [int(row) for row in order[places]]


def middle_slice(image: NDArray[Any], *, placed: bool) -> FloatArray:
    """What shows of an image [C, *S]: [H, W], or [H, W, 3] of a picture in colour, edges not above `_SLICE_EDGE`.

    A volume whose voxel size is known (`placed`) is in RAS order: its axial slice, anterior up. Of other three
    axes the first is time or pages. Series [C, T] are shown as they are.
    """
    while image.ndim > 4:
        image = image[:, image.shape[1] // 2]
    if image.ndim == 4:
        image = image[..., image.shape[-1] // 2] if placed else image[:, image.shape[1] // 2]
    if image.ndim == 2:
        return pooled(image, _SLICE_EDGE)
    if image.shape[0] == 3 and not placed:
        return pooled(np.moveaxis(image, 0, -1), _SLICE_EDGE)
    return pooled(np.rot90(image[0]) if placed else image[0], _SLICE_EDGE)


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float32]:
    """An image [C, *S] as few numbers [d]: the mean of its channels, pooled to at most 8 along each axis."""
    return pooled(image.mean(axis=0, dtype=np.float32), _EDGE).ravel()


def pooled(image: NDArray[Any], most: int) -> NDArray[np.float32]:
    """Averages over boxes, so that no axis is longer than `most`.

    >>> pooled(np.array([1, 3, 5, 7]), 2).tolist()
    [2.0, 6.0]
    """
    result = image.astype(np.float32)
    for axis, length in enumerate(image.shape):
        starts = np.arange(min(most, length)) * length // min(most, length)
        widths = np.diff(starts, append=length).astype(np.float32)
        shape = [-1 if other == axis else 1 for other in range(image.ndim)]
        result = np.add.reduceat(result, starts, axis=axis) / widths.reshape(shape)
    return result
