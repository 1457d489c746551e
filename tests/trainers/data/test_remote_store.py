"""A volume store in an object store: a local server that speaks S3."""

from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from contrasweep.trainers.config import SplitConfig
from contrasweep.trainers.data.normalization import store_normalization
from contrasweep.trainers.data.splits import store_splits
from contrasweep.trainers.data.store import Volume, VolumeStore
from contrasweep.trainers.errors import UserError
from tests.trainers.data.small_store import write_store


@pytest.fixture
def store(bucket: UPath, request: pytest.FixtureRequest) -> VolumeStore:
    """20 subjects in shards of 8."""
    rng = np.random.default_rng(0)
    volumes = [Volume(f"s{row:02d}", float(row), None, rng.random((1, 4, 5), dtype=np.float32)) for row in range(20)]
    return write_store(bucket / request.node.name, volumes, per_shard=8)


def test_it_is_the_same_as_on_disk(store: VolumeStore, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    volumes = [Volume(f"s{row:02d}", float(row), None, rng.random((1, 4, 5), dtype=np.float32)) for row in range(20)]
    local = write_store(tmp_path / "local", volumes, per_shard=8)
    opened = VolumeStore.open(store.folder)
    assert opened.manifest == local.manifest
    rows = np.array([19, 3, 8, 0])
    np.testing.assert_array_equal(opened.read_rows(rows), local.read_rows(rows))
    np.testing.assert_array_equal(opened.load(["s01", "s18"]).images, local.load(["s01", "s18"]).images)


def test_splits_and_normalization_are_kept_in_it(store: VolumeStore) -> None:
    splits = store_splits(store, SplitConfig(stratify=("age",)))
    fitted = store_normalization(store, splits)
    again = VolumeStore.open(store.folder)
    assert store_splits(again, SplitConfig(stratify=("age",))) == splits
    assert store_normalization(again, splits) == fitted
    assert len(list(store.folder.glob("*.json"))) == 3


def test_damage_is_named(store: VolumeStore) -> None:
    (store.folder / "shard-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"shard-00001.parquet missing"):
        VolumeStore.open(store.folder)
