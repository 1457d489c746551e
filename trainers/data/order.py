"""The order of training rows in an epoch: the one definition that every feed follows."""

import numpy as np
from numpy.typing import NDArray

_WINDOW_BYTES = 256 * 2**20
_WINDOW_ROWS = 64


def epoch_order(
    rows: NDArray[np.int64], shard_of: NDArray[np.int64], volume_nbytes: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """All of `rows`, once each, in windows [w_i]: the epoch's order is the windows one after the other.

    Shards are shuffled, cut into windows of at least 256 MB of decoded images and 64 rows, and rows are
    shuffled inside each window. A reader so holds one window at a time, and a store below 256 MB gets a full
    shuffle. `shard_of` [n] tells the shard of each of `rows` [n].
    """
    rng = np.random.default_rng([seed, epoch])
    shards = rng.permutation(np.unique(shard_of))
    needed = max(_WINDOW_ROWS, -(-_WINDOW_BYTES // volume_nbytes))
    windows: list[NDArray[np.int64]] = []
    pending: list[NDArray[np.int64]] = []
    for shard in shards:
        pending.append(rows[shard_of == shard])
        if sum(map(len, pending)) >= needed:
            windows.append(rng.permutation(np.concatenate(pending)))
            pending = []
    if pending:
        windows.append(rng.permutation(np.concatenate(pending)))
    return windows


def rank_rows(order: NDArray[np.int64], *, batch_size: int, rank: int, world_size: int) -> NDArray[np.int64]:
    """The rows of one rank: slice `rank` of `world_size` of each whole global batch, batch after batch.

    >>> rank_rows(np.arange(9), batch_size=4, rank=1, world_size=2).tolist()
    [2, 3, 6, 7]
    """
    local = batch_size // world_size
    assert local * world_size == batch_size, f"batch_size {batch_size} is no multiple of world_size {world_size}"
    whole = len(order) - len(order) % batch_size
    return order[:whole].reshape(-1, world_size, local)[:, rank].reshape(-1)
