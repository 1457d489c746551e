from pathlib import Path

import numpy as np
import pytest

from contrasweep.trainers.baselines import Reader
from contrasweep.trainers.data.store import Volume
from tests.trainers.data.small_store import write_store


@pytest.mark.parametrize(
    ("shape", "scans", "reader", "words"),
    [
        ((1, 96, 256), 100, Reader(2, 1), "means over blocks of 2 voxels a side"),
        ((1, 64, 64), 100, Reader(1, 1), ""),
        ((1, 64, 64), 100_000, Reader(3, 1), "means over blocks of 3 voxels a side"),
        ((400, 100), 10, Reader(2, 1), "means over blocks of 2 voxels a side"),
        ((50_000, 3), 10, Reader(3, 3), "means over blocks of 3 voxels a side, 1 of 3 values"),
    ],
)
def test_few_enough_voxels_are_left(shape: tuple[int, ...], scans: int, reader: Reader, words: str) -> None:
    found = Reader.of(shape, scans)
    assert (found, found.words) == (reader, words)
    assert found.voxels(np.zeros((1, *shape), np.uint8)).shape[1] <= 20_000


def test_blocks_are_means_and_those_at_the_edge_are_smaller() -> None:
    image = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(1, 2, 3, 5)
    voxels = Reader(2, 1).voxels(image).reshape(2, 2, 3)
    assert voxels.dtype == np.float32
    assert voxels[0, 0, 0] == image[0, 0, :2, :2].mean()
    assert voxels[1, 1, 2] == image[0, 1, 2, 4]


def test_cells_are_what_the_table_tells_but_for_the_label(tmp_path: Path) -> None:
    told = {"a": {"described": {"sex": "F", "age": "20"}, "covariates": {"tiv": 5.0}}}
    images = np.ones((2, 1, 4), np.float32)
    volumes = [Volume(name, 20.0, None, image) for name, image in zip("ab", images, strict=True)]
    store = write_store(tmp_path / "store", volumes, per_shard=1, told=told)
    found = Reader(1, 1).read(store, np.arange(2))
    assert found.cells == [{"sex": "F", "tiv": 5.0}, {}]
    np.testing.assert_array_equal(found.voxels, images[:, 0])
