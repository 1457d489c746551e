"""The resident feed: every volume decoded once, in memory that all trials of a node share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.feeds.base import Batch, Feed, Parts, Split
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import VolumeStore
from contrasweep.trainers.normalization import Normalization


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images [n, C, *S] of the `rows` [n] of a store, ascending; Ray's object store maps the arrays, without a copy."""

    images: NDArray[Any]
    rows: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ResidentData:
    """What a run reads, out of images that other runs may read, too."""

    decoded: Decoded
    parts: Parts


def decode(store: VolumeStore, *of: Splits) -> Decoded:
    """Decode what is trained and validated on in any of several splits, once."""
    ids = {name for splits in of for name in splits.train + splits.validation + splits.unlabelled}
    loaded = store.load(sorted(ids))
    return Decoded(loaded.images, loaded.rows)


def load_resident(
    store: VolumeStore,
    splits: Splits,
    normalization: Normalization | None = None,
    covariates: Covariates | None = None,
) -> ResidentData:
    """Decode the training and validation splits."""
    return ResidentData(decode(store, splits), Parts.of(store, splits, normalization, covariates))


class ResidentFeed(Feed):
    """Batches out of memory; see `trainers.data.feeds.Feed`."""

    def __init__(self, data: ResidentData) -> None:
        self._decoded = data.decoded
        super().__init__(data.parts)

    def _batches(self, split: Split, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        rows = self._splits[split]
        for places in wanted:
            found = np.searchsorted(self._decoded.rows, rows.rows[places])
            yield rows.batch(self._decoded.images[found], places)
