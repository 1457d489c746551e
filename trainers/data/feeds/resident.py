"""The resident feed: every volume decoded once, in memory that all trials of a node share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.covariates import Covariates
from trainers.data.feeds.base import Batch, Feed, LabelledRows, Split, taught_labels
from trainers.data.splits import Splits
from trainers.data.store import Rows, VolumeStore
from trainers.normalization import Normalization


@dataclass(frozen=True, eq=False)
class ResidentData:
    """The decoded training and validation splits; its arrays are mapped by Ray's object store, not copied.

    `train` has the scans without a label that may be trained on, too. `train_shards` [n] is the shard of each of its
    rows: the order of an epoch depends on it. `taught` [n] are the labels that they are trained on, where these are not
    the table's.
    """

    train: Rows
    validation: Rows
    train_shards: NDArray[np.int64]
    normalization: Normalization | None
    covariates: Covariates | None = None
    taught: NDArray[np.float64] | None = None


def load_resident(
    store: VolumeStore,
    splits: Splits,
    normalization: Normalization | None = None,
    covariates: Covariates | None = None,
) -> ResidentData:
    """Decode the training and validation splits."""
    train = store.load(splits.train + splits.unlabelled, covariates)
    validation = store.load(splits.validation, covariates)
    taught = taught_labels(store, splits, train.rows)
    return ResidentData(train, validation, store.shard_of[train.rows], normalization, covariates, taught)


class ResidentFeed(Feed):
    """Batches out of memory; see `trainers.data.feeds.Feed`."""

    def __init__(self, data: ResidentData) -> None:
        self._images = {"train": data.train.images, "validation": data.validation.images}
        super().__init__(
            tuple(data.train.images.shape[1:]),
            data.train.images[0].nbytes,
            _without_images(data.train),
            data.train_shards,
            _without_images(data.validation),
            data.normalization,
            data.covariates,
            data.taught,
        )

    def _batches(self, split: Split, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        for places in wanted:
            yield self._splits[split].batch(self._images[split][places], places)


def _without_images(rows: Rows) -> LabelledRows:
    return LabelledRows(rows.labels, rows.groups, rows.rows, rows.covariates)
