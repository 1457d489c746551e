"""The stream feed: volumes read as they are needed, for stores larger than memory."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from trainers.covariates import Covariates
from trainers.data.feeds.base import Batch, Feed, LabelledRows, check_batch_size, evaluation_places
from trainers.data.order import epoch_order, rank_rows
from trainers.data.splits import Splits
from trainers.data.store import VolumeStore
from trainers.normalization import Normalization

READ_AHEAD = 3
"""Batches that are read before they are asked for, side by side: all that is in memory beside the one in use."""


class StreamFeed(Feed):
    """Batches read from the store by a few threads, bit for bit those of `ResidentFeed`.

    Threads of this process, and not Ray Data's read tasks: those copy every volume into and out of the object store,
    which takes longer than decoding it (`tests/benchmarks/bench_data.py`). Nothing but the rows of a batch is read:
    neither what came before `start`, nor other ranks' rows.
    """

    def __init__(
        self,
        folder: str | UPath,
        splits: Splits,
        normalization: Normalization | None = None,
        covariates: Covariates | None = None,
    ) -> None:
        self._store = VolumeStore.open_unchecked(folder)
        parts = {"train": splits.train, "validation": splits.validation}
        self._splits = {name: _rows_of(self._store, ids, covariates) for name, ids in parts.items()}
        self._everyone = _rows_of(self._store, splits.train + splits.unlabelled, covariates)
        super().__init__(self._store.image_shape, self._splits["train"].labels, normalization, covariates)

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
        train, nbytes = self._everyone if unlabelled else self._splits["train"], self._store.volume_nbytes
        check_batch_size(batch_size, len(train.rows))
        shards = self._store.shard_of[train.rows]
        order = np.concatenate(epoch_order(train.rows, shards, nbytes, seed=seed, epoch=epoch))
        mine = rank_rows(order, batch_size=batch_size, rank=rank, world_size=world_size)
        places = np.searchsorted(train.rows, mine).reshape(-1, batch_size // world_size)
        yield from self._batches(train, list(places[start:]))

    def evaluation(
        self, split: Literal["train", "validation"], *, batch_size: int, rank: int, world_size: int
    ) -> Iterator[Batch]:
        """One pass over a split in store order; see `Feed.evaluation`."""
        rows = self._splits[split]
        places = evaluation_places(len(rows.rows), batch_size=batch_size, rank=rank, world_size=world_size)
        yield from self._batches(rows, places)

    def _batches(self, split: LabelledRows, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        """The batches that stand at the `wanted` places of a split, in their order."""
        ahead: deque[Future[NDArray[Any]]] = deque()
        unread = iter(wanted)
        try:
            for places in wanted:
                while len(ahead) <= READ_AHEAD and (following := next(unread, None)) is not None:
                    ahead.append(_readers().submit(self._store.read_rows, split.rows[following]))
                yield split.batch(ahead.popleft().result(), places)
        finally:
            for future in ahead:
                future.cancel()


@cache
def _readers() -> ThreadPoolExecutor:
    """The threads that decode: the same ones in every pass, as each keeps shards open and memory to reuse."""
    return ThreadPoolExecutor(READ_AHEAD)


def _rows_of(store: VolumeStore, ids: tuple[str, ...], covariates: Covariates | None) -> LabelledRows:
    rows = store.rows_of(ids)
    groups = None if store.groups is None else store.groups[rows]
    told = None if covariates is None else covariates.encode(store.cells_of(rows))
    return LabelledRows(store.labels[rows], groups, rows, told)
