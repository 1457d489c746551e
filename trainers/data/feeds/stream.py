"""The stream feed: volumes read as they are needed, for stores larger than memory."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from trainers.covariates import Covariates
from trainers.data.feeds.base import Batch, Feed, LabelledRows, Split, taught_labels
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
        self._store = store = VolumeStore.open_unchecked(folder)
        train = _rows_of(store, splits.train + splits.unlabelled, covariates)
        validation = _rows_of(store, splits.validation, covariates)
        super().__init__(
            store.image_shape,
            store.volume_nbytes,
            train,
            store.shard_of[train.rows],
            validation,
            normalization,
            covariates,
            taught_labels(store, splits, train.rows),
        )

    def _batches(self, split: Split, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        rows = self._splits[split]
        ahead: deque[Future[NDArray[Any]]] = deque()
        unread = iter(wanted)
        try:
            for places in wanted:
                while len(ahead) <= READ_AHEAD and (following := next(unread, None)) is not None:
                    ahead.append(_readers().submit(self._store.read_rows, rows.rows[following]))
                yield rows.batch(ahead.popleft().result(), places)
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
