"""The resident feed: every volume decoded once, in memory that all trials of a node share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data.feeds.base import Batch, Feed, LabelledRows, check_batch_size, evaluation_places
from trainers.data.order import epoch_order, rank_rows
from trainers.data.splits import Splits
from trainers.data.store import Rows, VolumeStore
from trainers.normalization import Normalization


@dataclass(frozen=True, eq=False)
class ResidentData:
    """The decoded training and validation splits; its arrays are mapped by Ray's object store, not copied.

    `train_shards` [n] is the shard of each training row: the order of an epoch depends on it.
    """

    train: Rows
    validation: Rows
    train_shards: NDArray[np.int64]
    normalization: Normalization | None


def load_resident(store: VolumeStore, splits: Splits, normalization: Normalization | None = None) -> ResidentData:
    """Decode the training and validation splits."""
    train = store.load(splits.train)
    return ResidentData(train, store.load(splits.validation), store.shard_of[train.rows], normalization)


class ResidentFeed(Feed):
    """Batches out of memory; see `trainers.data.feeds.Feed`."""

    def __init__(self, data: ResidentData) -> None:
        super().__init__(tuple(data.train.images.shape[1:]), data.train.labels, data.normalization)
        self._data = data

    def epoch(
        self, epoch: int, *, seed: int, batch_size: int, rank: int, world_size: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass over the training split; see `Feed.epoch`."""
        check_batch_size(batch_size, self.train_size)
        train = self._data.train
        nbytes = train.images[0].nbytes
        order = np.concatenate(epoch_order(train.rows, self._data.train_shards, nbytes, seed=seed, epoch=epoch))
        mine = rank_rows(order, batch_size=batch_size, rank=rank, world_size=world_size)
        places = np.searchsorted(train.rows, mine)
        for batch in places.reshape(-1, batch_size // world_size)[start:]:
            yield _batch(train, batch)

    def evaluation(
        self, split: Literal["train", "validation"], *, batch_size: int, rank: int, world_size: int
    ) -> Iterator[Batch]:
        """One pass over a split in store order; see `Feed.evaluation`."""
        rows = {"train": self._data.train, "validation": self._data.validation}[split]
        for places in evaluation_places(len(rows.rows), batch_size=batch_size, rank=rank, world_size=world_size):
            yield _batch(rows, places)


def _batch(rows: Rows, places: NDArray[np.int64]) -> Batch:
    return LabelledRows(rows.labels, rows.groups, rows.rows).batch(rows.images[places], places)
