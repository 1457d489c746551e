"""What a feed is, and what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.order import epoch_order, rank_rows
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import VolumeStore
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.normalization import Normalization

Split = Literal["train", "validation"]


@dataclass(frozen=True, eq=False)
class Batch:
    """images [b, C, *S] in the store's dtype; labels float64 [b]; groups int64 [b] or None; rows int64 [b].

    Labels are nan where a scan has none; covariates [b, K] are float32, or None.
    `rows` are the subjects' places in the store: they name a sample wherever it turns up, so that draws
    for its augmentation do not depend on the number of workers.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor | None
    rows: NDArray[np.int64]
    covariates: Tensor | None = None


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """A split without its images: labels [n] float64, groups [n] int64 or None, rows [n] int64, ascending.

    `covariates` are [n, K] float32, or None.
    """

    labels: NDArray[np.float64]
    groups: NDArray[np.int64] | None
    rows: NDArray[np.int64]
    covariates: NDArray[np.float32] | None

    def batch(self, images: NDArray[Any], places: NDArray[np.int64]) -> Batch:
        """A batch of the given images [b, C, *S], which stand at `places` [b] of this split."""
        return Batch(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(self.labels[places]),
            groups=None if self.groups is None else torch.from_numpy(self.groups[places]),
            rows=self.rows[places],
            covariates=None if self.covariates is None else torch.from_numpy(self.covariates[places]),
        )


@dataclass(frozen=True, eq=False)
class Parts:
    """Who a run trains on and is validated on, without images, and what was fitted on those that it trains on.

    `train` has the scans without a label that may be trained on, too; `train_shards` [n] is the shard of each of its
    rows: the order of an epoch depends on it. `taught` [n] are the labels that they are trained on, where these are not
    the table's. `image_shape` is (C, *S), and `volume_nbytes` what one takes.
    """

    image_shape: tuple[int, ...]
    volume_nbytes: int
    train: LabelledRows
    train_shards: NDArray[np.int64]
    validation: LabelledRows
    normalization: Normalization | None = None
    covariates: Covariates | None = None
    taught: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        store: VolumeStore,
        splits: Splits,
        normalization: Normalization | None = None,
        covariates: Covariates | None = None,
    ) -> Self:
        """Those of a store's splits."""
        train = _rows_of(store, splits.train + splits.unlabelled, covariates)
        validation = _rows_of(store, splits.validation, covariates)
        shards, taught = store.shard_of[train.rows], _taught_labels(store, splits, train.rows)
        fitted = (normalization, covariates, taught)
        return cls(store.image_shape, store.volume_nbytes, train, shards, validation, *fitted)


class Feed(ABC):
    """Batches of the training and validation splits. The test split is out of reach.

    `validates` says whether anybody is validated on; `validation_groups` [m] are their groups in the store's order, or
    None. `train_size` counts the scans with a label that are trained on, `unlabelled_size` the others. `image_shape` is
    (C, *S). `train_labels`, which are trained on, and their range are in the label's unit: those that are taught, or
    else the table's, which are `table_labels`. `normalization` is applied to images on their way to a device
    (`arriving`); `covariates` made those of the batches.
    """

    def __init__(self, parts: Parts) -> None:
        train = parts.train
        self.image_shape = parts.image_shape
        self.normalization = parts.normalization
        self.covariates = parts.covariates
        self._splits = {"train": train, "validation": parts.validation}
        self._train_shards, self._volume_nbytes = parts.train_shards, parts.volume_nbytes
        self._labelled = np.flatnonzero(np.isfinite(train.labels))
        self.validation_groups = parts.validation.groups
        self.table_labels = tuple(train.labels[self._labelled].tolist())
        self.validates = len(parts.validation.rows) > 0
        self.train_size, self.unlabelled_size = len(self._labelled), len(train.rows) - len(self._labelled)
        self._teach(train.labels if parts.taught is None else parts.taught)

    def _teach(self, taught: NDArray[np.float64]) -> None:
        self._taught, labels = taught, taught[self._labelled]
        self.train_labels, self.label_range = tuple(labels.tolist()), float(np.ptp(labels))

    def by_table(self) -> Self:
        """The same feed, of which the table's labels are trained on."""
        feed = copy(self)
        feed._teach(self._splits["train"].labels)
        return feed

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
        """One pass over the training split in an order given by (seed, epoch), from batch `start` on.

        With `unlabelled`, the scans without a label that may be trained on are among them.
        `batch_size` is global: this rank gets its slice of `batch_size // world_size` rows of each. The last
        rows that fill no batch are dropped. Raises UserError where batch_size exceeds the training split.
        """
        rows = self._splits["train"].rows
        used = np.arange(len(rows)) if unlabelled else self._labelled
        check_batch_size(batch_size, len(used))
        windows = epoch_order(rows[used], self._train_shards[used], self._volume_nbytes, seed=seed, epoch=epoch)
        mine = rank_rows(np.concatenate(windows), batch_size=batch_size, rank=rank, world_size=world_size)
        places = list(np.searchsorted(rows, mine).reshape(-1, batch_size // world_size)[start:])
        for batch, some in zip(self._batches("train", places), places, strict=True):
            yield replace(batch, labels=torch.from_numpy(self._taught[some]))

    def evaluation(self, split: Split, *, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """One pass over a split in store order, with the table's labels and nothing dropped.

        Its batches are rank, rank + world_size, ...
        """
        labelled = self._labelled if split == "train" else np.arange(len(self._splits[split].rows))
        places = evaluation_places(len(labelled), batch_size=batch_size, rank=rank, world_size=world_size)
        yield from self._batches(split, [labelled[some] for some in places])

    @abstractmethod
    def _batches(self, split: Split, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        """The batches that stand at the `wanted` places of a split, in their order."""


def _rows_of(store: VolumeStore, ids: tuple[str, ...], covariates: Covariates | None) -> LabelledRows:
    rows = store.rows_of(ids)
    groups = None if store.groups is None else store.groups[rows]
    told = None if covariates is None else covariates.encode(store.cells_of(rows))
    return LabelledRows(store.labels[rows], groups, rows, told)


def _taught_labels(store: VolumeStore, splits: Splits, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The labels [n] that the training split's `rows` [n] are trained on, nan where they have none.

    None where all are the table's.
    """
    if not splits.taught:
        return None
    told = zip(rows, store.labels[rows].tolist(), strict=True)
    return np.array([splits.taught.get(store.subjects[row].id, label) for row, label in told], dtype=np.float64)


def check_batch_size(batch_size: int, train_size: int) -> None:
    """Raise UserError where not one whole batch can be filled."""
    if batch_size > train_size:
        raise UserError(
            f"training.batch_size {batch_size} is larger than the training split of {train_size} scans; "
            f"allowed: up to {train_size}"
        )


def evaluation_places(count: int, *, batch_size: int, rank: int, world_size: int) -> list[NDArray[np.int64]]:
    """The places in a split of each batch that this rank evaluates.

    >>> [p.tolist() for p in evaluation_places(5, batch_size=2, rank=0, world_size=2)]
    [[0, 1], [4]]
    """
    starts = range(rank * batch_size, count, world_size * batch_size)
    return [np.arange(start, min(start + batch_size, count)) for start in starts]
