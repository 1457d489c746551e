"""Pairs of images that are nearly one: noise, another codec or a resave between them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.data.alike import LookAlike
from contrasweep.trainers.data.store import VolumeStore

MOST_PAIRS = 1_000
"""The search ends there: so many mean that the images of this study differ in detail only."""
_OF_THUMBNAILS, _OF_IMAGES = 0.999, 0.95
"""Correlations that both must be exceeded: thumbnails of different people's small lesions can be one."""
_ROUNDING = 1e-5
_BLOCK = 1024


def look_alikes(store: VolumeStore, thumbnails: NDArray[np.float32]) -> list[LookAlike]:
    """Up to MOST_PAIRS pairs of rows whose thumbnails [n, d] and images correlate, and are not equal."""
    found: list[LookAlike] = []
    for pair in _candidates(store, _standardised(thumbnails)):
        first, second = _standardised(store.read_rows(np.array(pair)).astype(np.float32).reshape(2, -1))
        correlation = float(first @ second)
        if correlation > _OF_IMAGES:
            found.append(LookAlike(pair, correlation))
        if len(found) == MOST_PAIRS:
            break
    return found


def _candidates(store: VolumeStore, thumbnails: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pairs of rows in ascending order, all compared a block at a time."""
    contents = np.unique([scan.content for scan in store.subjects], return_inverse=True)[1]
    digests = np.unique([scan.digest for scan in store.subjects], return_inverse=True)[1]
    blocks = range(0, len(thumbnails), _BLOCK)
    for top in blocks:
        for left in (start for start in blocks if start >= top):
            rows, columns = slice(top, top + _BLOCK), slice(left, left + _BLOCK)
            close = thumbnails[rows] @ thumbnails[columns].T > _OF_THUMBNAILS
            close &= contents[rows, None] != contents[None, columns]
            close &= digests[rows, None] != digests[None, columns]
            for row, column in np.argwhere(np.triu(close) if top == left else close):
                yield top + int(row), left + int(column)


def _standardised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows [n, d] with mean 0 and norm 1, so that products are correlations; constant ones are 0."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norms <= _ROUNDING * np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(flat, np.float32(0), centred / np.where(flat, np.float32(1), norms))
