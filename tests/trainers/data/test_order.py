import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.data import order
from contrasweep.trainers.data.order import epoch_order, rank_rows

MIB = 2**20


@given(
    shards=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    volume_nbytes=st.sampled_from([4, MIB, 300 * MIB]),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 500),
)
def test_every_row_comes_once(shards: list[int], volume_nbytes: int, seed: int, epoch: int) -> None:
    shard_of = np.repeat(np.arange(len(shards)), shards)
    rows = 3 * np.arange(len(shard_of))
    windows = epoch_order(rows, shard_of, volume_nbytes, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(windows).tolist()) == rows.tolist()
    for shard in range(len(shards)):
        assert sum(bool(np.isin(rows[shard_of == shard], window).any()) for window in windows) == 1


def test_seed_and_epoch_decide_the_order() -> None:
    rows, shard_of = np.arange(50), np.arange(50) // 10

    def draw(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_order(rows, shard_of, 4, seed=seed, epoch=epoch)).tolist()  # type: ignore[no-any-return]

    assert draw(1, 2) == draw(1, 2)
    assert len({tuple(draw(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_a_small_store_is_shuffled_as_a_whole_and_a_large_one_in_windows() -> None:
    rows, shard_of = np.arange(1000), np.arange(1000) // 10
    assert len(epoch_order(rows, shard_of, 1000, seed=0, epoch=0)) == 1
    windows = epoch_order(rows, shard_of, 2 * MIB, seed=0, epoch=0)
    assert {len(window) for window in windows[:-1]} == {130}
    assert len(epoch_order(rows, shard_of, 300 * MIB, seed=0, epoch=0)[0]) == 70


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_share_each_batch(world_size: int) -> None:
    whole = np.random.default_rng(0).permutation(21)
    shares = [rank_rows(whole, batch_size=8, rank=r, world_size=world_size) for r in range(world_size)]
    local = 8 // world_size
    for batch in range(2):
        together = np.concatenate([share[batch * local : (batch + 1) * local] for share in shares])
        np.testing.assert_array_equal(together, whole[8 * batch : 8 * batch + 8])
    assert order.rank_rows(whole[:5], batch_size=8, rank=0, world_size=world_size).size == 0
