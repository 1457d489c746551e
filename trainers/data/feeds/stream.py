"""The stream feed: volumes read by Ray Data as they are needed, for stores larger than memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from trainers.data.feeds.base import Batch, Feed, LabelledRows, check_batch_size, evaluation_places
from trainers.data.normalization import Normalization
from trainers.data.order import epoch_order, rank_rows
from trainers.data.splits import Splits
from trainers.data.store import VolumeStore

if TYPE_CHECKING:
    from ray.data import DataContext

READ_AHEAD = 3
"""Batches that are read before they are asked for, side by side: all that is ever in memory, but for the one in use."""


class StreamFeed(Feed):
    """Batches read with Ray Data, bit for bit those of `ResidentFeed`; Ray must be initialised when iterated.

    Ray Data deals out row numbers and keeps batches coming, in order; the threads of its prefetching decode them,
    in this process. Volumes that its tasks read in other processes would be copied through the object store,
    which takes longer than decoding them. Nothing but the rows asked for is read: neither what came before
    `start`, nor other ranks' rows.
    """

    def __init__(self, folder: str | UPath, splits: Splits, normalization: Normalization | None = None) -> None:
        self._store = VolumeStore.open_unchecked(folder)
        self._splits = {name: _labelled(self._store, getattr(splits, name)) for name in ("train", "validation")}
        train = self._splits["train"]
        super().__init__(self._store.image_shape, train.labels, normalization)
        self._train_shards = self._store.shard_of[train.rows]

    def epoch(
        self, epoch: int, *, seed: int, batch_size: int, rank: int, world_size: int, start: int = 0
    ) -> Iterator[Batch]:
        """One pass over the training split; see `Feed.epoch`."""
        check_batch_size(batch_size, self.train_size)
        train, nbytes = self._splits["train"], self._store.volume_nbytes
        order = np.concatenate(epoch_order(train.rows, self._train_shards, nbytes, seed=seed, epoch=epoch))
        mine = rank_rows(order, batch_size=batch_size, rank=rank, world_size=world_size)
        yield from self._batches(train, list(mine.reshape(-1, batch_size // world_size)[start:]))

    def evaluation(
        self, split: Literal["train", "validation"], *, batch_size: int, rank: int, world_size: int
    ) -> Iterator[Batch]:
        """One pass over a split in store order; see `Feed.evaluation`."""
        rows = self._splits[split]
        places = evaluation_places(len(rows.rows), batch_size=batch_size, rank=rank, world_size=world_size)
        yield from self._batches(rows, [rows.rows[of] for of in places])

    def _batches(self, split: LabelledRows, wanted: list[NDArray[np.int64]]) -> Iterator[Batch]:
        """The rows wanted, a batch each, in their order."""
        if not wanted:
            return
        import ray.data
        from ray.data.collate_fn import NumpyBatchCollateFn

        class Decode(NumpyBatchCollateFn):
            def __call__(_, dealt: dict[str, Any]) -> Batch:
                (rows,) = (np.asarray(rows, dtype=np.int64) for rows in dealt["rows"])
                return split.batch(_readers().submit(self._store.read_rows, rows).result(), split.places(rows))

        with ray.data.DataContext.current(ordered_context()):
            dataset = ray.data.from_items([{"rows": rows.tolist()} for rows in wanted], override_num_blocks=1)
        yield from dataset.iter_torch_batches(batch_size=1, prefetch_batches=READ_AHEAD, collate_fn=Decode())


def ordered_context() -> "DataContext":
    """Ray Data's settings for us: results in the order of the inputs, nothing printed."""
    import logging

    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context


@cache
def _readers() -> ThreadPoolExecutor:
    """The threads that decode: the same ones in every epoch, as each keeps shards open and memory to reuse."""
    return ThreadPoolExecutor(READ_AHEAD)


def _labelled(store: VolumeStore, ids: tuple[str, ...]) -> LabelledRows:
    rows = store.rows_of(ids)
    return LabelledRows(store.labels[rows], None if store.groups is None else store.groups[rows], rows)
