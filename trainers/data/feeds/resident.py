"""The resident feed: every volume decoded once, in memory that all trials of a node share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.covariates import Covariates
from trainers.data.feeds.base import Batch, Feed, LabelledRows, check_batch_size, evaluation_places
from trainers.data.order import epoch_order, rank_rows
from trainers.data.splits import Splits
from trainers.data.store import Rows, VolumeStore
from trainers.normalization import Normalization


@dataclass(frozen=True, eq=False)
class ResidentData:
    """The decoded training and validation splits; its arrays are mapped by Ray's object store, not copied.

    `train` has the scans without a label that may be trained on, too. `train_shards` [n] is the shard of each of its
    rows: the order of an epoch depends on it.
    """

    train: Rows
    validation: Rows
    train_shards: NDArray[np.int64]
    normalization: Normalization | None
    covariates: Covariates | None = None


def load_resident(
    store: VolumeStore,
    splits: Splits,
    normalization: Normalization | None = None,
    covariates: Covariates | None = None,
) -> ResidentData:
    """Decode the training and validation splits."""
    train = store.load(splits.train + splits.unlabelled, covariates)
    validation = store.load(splits.validation, covariates)
    return ResidentData(train, validation, store.shard_of[train.rows], normalization, covariates)


class ResidentFeed(Feed):
    """Batches out of memory; see `trainers.data.feeds.Feed`."""

    def __init__(self, data: ResidentData) -> None:
        self._labelled = np.flatnonzero(np.isfinite(data.train.labels))
        labels = data.train.labels[self._labelled]
        super().__init__(tuple(data.train.images.shape[1:]), labels, data.normalization, data.covariates)
        self._data = data

    def epoch(
        self,
        epoch: int,
        *,
        seed: int,
        batch_size: int,
        rank: int,
        world_size: int,
        start: int = 0,
        unlabelled: bool = False,
    ) -> Iterator[Batch]:
        """One pass over the training split; see `Feed.epoch`."""
        train = self._data.train
        used = np.arange(len(train.rows)) if unlabelled else self._labelled
        check_batch_size(batch_size, len(used))
        shards, nbytes = self._data.train_shards[used], train.images[0].nbytes
        order = np.concatenate(epoch_order(train.rows[used], shards, nbytes, seed=seed, epoch=epoch))
        mine = rank_rows(order, batch_size=batch_size, rank=rank, world_size=world_size)
        places = np.searchsorted(train.rows, mine)
        for batch in places.reshape(-1, batch_size // world_size)[start:]:
            yield _batch(train, batch)

    def evaluation(
        self, split: Literal["train", "validation"], *, batch_size: int, rank: int, world_size: int
    ) -> Iterator[Batch]:
        """One pass over a split in store order; see `Feed.evaluation`."""
        validation = self._data.validation
        rows, labelled = {
            "train": (self._data.train, self._labelled),
            "validation": (validation, np.arange(len(validation.rows))),
        }[split]
        for places in evaluation_places(len(labelled), batch_size=batch_size, rank=rank, world_size=world_size):
            yield _batch(rows, labelled[places])


def _batch(rows: Rows, places: NDArray[np.int64]) -> Batch:
    return LabelledRows(rows.labels, rows.groups, rows.rows, rows.covariates).batch(rows.images[places], places)
