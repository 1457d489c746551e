"""The stream feed: volumes read as they are needed, for stores larger than memory."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.feeds.base import Batch, Feed, Parts, Split
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import VolumeStore
from contrasweep.trainers.normalization import Normalization

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
        super().__init__(Parts.of(store, splits, normalization, covariates))

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
