"""The stream feed: volumes read by Ray Data as they are needed, for stores larger than memory."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data.feeds.base import Batch, Feed, LabelledRows, check_batch_size, evaluation_places
from trainers.data.order import epoch_order, rank_rows
from trainers.data.splits import Splits
from trainers.data.store import VolumeStore

if TYPE_CHECKING:
    from ray.data import DataContext

READ_CPUS = 0.01
"""CPUs that one read task asks Ray for: next to nothing, so that no feed can hold what another's reads wait for."""
READ_TASKS = 2
"""Read tasks of one feed at a time: what bounds their load instead."""
_BLOCK_BYTES = 16 * 2**20


class StreamFeed(Feed):
    """Batches read with Ray Data, bit for bit those of `ResidentFeed`; Ray must be initialised when iterated.

    A read task decodes one window of shards (`trainers.data.order`) and hands on this rank's rows of it.
    """

    def __init__(self, folder: Path, splits: Splits) -> None:
        store = VolumeStore.open(folder)
        self._folder = folder
        self._volume_nbytes = store.volume_nbytes
        self._splits = {"train": _labelled(store, splits.train), "validation": _labelled(store, splits.validation)}
        self._train_shards = store.shard_of[self._splits["train"].rows]
        super().__init__(store.image_shape, self._splits["train"].labels)

    def epoch(self, epoch: int, *, seed: int, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        """One pass over the training split; see `Feed.epoch`."""
        check_batch_size(batch_size, self.train_size)
        train = self._splits["train"]
        windows = epoch_order(train.rows, self._train_shards, self._volume_nbytes, seed=seed, epoch=epoch)
        mine = rank_rows(np.concatenate(windows), batch_size=batch_size, rank=rank, world_size=world_size)
        window_of = np.empty(train.rows[-1] + 1, dtype=np.int64)
        for index, window in enumerate(windows):
            window_of[window] = index
        reads = np.split(mine, np.flatnonzero(np.diff(window_of[mine])) + 1)
        yield from self._batches(train, reads, batch_size // world_size)

    def evaluation(
        self, split: Literal["train", "validation"], *, batch_size: int, rank: int, world_size: int
    ) -> Iterator[Batch]:
        """One pass over a split in store order; see `Feed.evaluation`."""
        rows = self._splits[split]
        batches = evaluation_places(len(rows.rows), batch_size=batch_size, rank=rank, world_size=world_size)
        if not batches:
            return
        mine = rows.rows[np.concatenate(batches)]
        per_read = max(batch_size, _BLOCK_BYTES // self._volume_nbytes)
        yield from self._batches(rows, np.split(mine, range(per_read, len(mine), per_read)), batch_size)

    def _batches(self, split: LabelledRows, reads: list[NDArray[np.int64]], size: int) -> Iterator[Batch]:
        """Batches of `size` out of the reads, one after the other in their order."""
        import ray.data

        with ray.data.DataContext.current(ordered_context()):
            dataset = ray.data.from_items([{"rows": rows.tolist()} for rows in reads], override_num_blocks=len(reads))
            read = dataset.map_batches(
                _read_rows,
                batch_size=1,
                batch_format="numpy",
                fn_kwargs={"folder": str(self._folder), "block_rows": max(1, _BLOCK_BYTES // self._volume_nbytes)},
                num_cpus=READ_CPUS,
                compute=ray.data.TaskPoolStrategy(size=min(READ_TASKS, len(reads))),
            )
        for batch in read.iter_batches(batch_size=size, batch_format="numpy", prefetch_batches=2):
            rows = batch["row"]
            yield split.batch(np.array(batch["image"]), np.searchsorted(split.rows, rows))


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


def _labelled(store: VolumeStore, ids: tuple[str, ...]) -> LabelledRows:
    rows = store.rows_of(ids)
    return LabelledRows(store.labels[rows], None if store.groups is None else store.groups[rows], rows)


def _read_rows(reads: dict[str, Any], *, folder: str, block_rows: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Ray task: the images of one read, in blocks small enough to flow."""
    (rows,) = (np.asarray(rows, dtype=np.int64) for rows in reads["rows"])
    images = _open_store(folder).read_rows(rows)
    for start in range(0, len(rows), block_rows):
        part = slice(start, start + block_rows)
        yield {"row": rows[part], "image": images[part]}


@lru_cache(maxsize=4)
def _open_store(folder: str) -> VolumeStore:
    return VolumeStore.open(Path(folder))
