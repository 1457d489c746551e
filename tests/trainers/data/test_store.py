import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from trainers.data.locked import load_test
from trainers.data.splits import Splits
from trainers.data.store import Volume, VolumeStore, read_manifest, write_shard
from trainers.errors import UserError


def test_rows_come_in_the_order_asked_for(store: VolumeStore) -> None:
    rows = np.array([59, 0, 13, 14, 7])
    images = store.read_rows(rows)
    assert images.shape == (5, 1, 3, 4)
    np.testing.assert_array_equal(images[:, 0, 0, 0], rows)


def test_rows_are_found_across_row_groups(store: VolumeStore) -> None:
    shape = (1, 1024, 1024)  # 4 MiB each: two in a row group
    volumes = (Volume(f"s{i}", float(i), None, np.full(shape, i, dtype=np.float32)) for i in range(5))
    shard = write_shard(store.folder / "big.parquet", volumes, shape)
    assert shard is not None
    file = pq.ParquetFile(store.folder / "big.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 1]
    changes = {"shards": (shard,), "subjects": store.subjects[:5], "image_shape": shape}
    images = VolumeStore(store.folder, store.manifest.model_copy(update=changes)).read_rows(np.array([4, 1, 2]))
    assert images[:, 0, 0, 0].tolist() == [4, 1, 2]


def test_plain_pyarrow_reads_a_shard_with_its_shape(store: VolumeStore) -> None:
    table = pq.read_table(store.folder / "shard-00001.parquet")
    assert table.column_names == ["subject", "label", "group", "image"]
    assert table.schema.field("image").type.extension_name == "arrow.fixed_shape_tensor"
    images = table["image"].combine_chunks().to_numpy_ndarray()
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(7, 14))
    assert table["label"].to_pylist() == [27.0 + i for i in range(7)]


def test_shards_are_compressed_with_bytes_split(store: VolumeStore) -> None:
    column = pq.ParquetFile(store.folder / "shard-00000.parquet").metadata.row_group(0).column(3)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings


def test_the_same_volumes_give_the_same_bytes(tmp_path: Path) -> None:
    volumes = [Volume("a", 1.0, None, np.ones((1, 2), dtype=np.float32))]
    first, second = (write_shard(tmp_path / name, volumes, (1, 2)) for name in ("a", "b"))
    assert first is not None
    assert second is not None
    assert first.digest == second.digest


def test_a_shard_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    def volumes() -> Iterator[Volume]:
        yield Volume("a", 1.0, None, np.ones((1, 2**21), dtype=np.float32))
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "a.parquet", volumes(), (1, 2**21))
    assert not list(tmp_path.iterdir())
    assert write_shard(tmp_path / "none.parquet", [], (1, 2)) is None


def test_groups_are_numbered_in_sorted_order(store: VolumeStore) -> None:
    assert store.groups is not None
    assert store.groups[:4].tolist() == [0, 1, 0, 1]


def test_loaded_rows_are_in_store_order(store: VolumeStore) -> None:
    rows = store.load(["s05", "s01"])
    assert rows.rows.tolist() == [1, 5]
    assert rows.labels.tolist() == [21.0, 25.0]
    assert rows.images[:, 0, 0, 0].tolist() == [1.0, 5.0]
    assert load_test(store, Splits(train=(), validation=(), test=("s02",))).rows.tolist() == [2]


def test_a_folder_without_manifest_is_no_store(tmp_path: Path, store: VolumeStore) -> None:
    with pytest.raises(UserError, match="no volume store"):
        VolumeStore.open(tmp_path)
    content = json.loads((store.folder / "manifest.json").read_text())
    (store.folder / "manifest.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(UserError, match="'format'"):
        read_manifest(store.folder)


def test_damage_is_named(store: VolumeStore) -> None:
    store.verify()
    path = store.folder / "shard-00003.parquet"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"shard-00003.parquet does not match its sha256"):
        VolumeStore.open(store.folder).verify()
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"shard-00003.parquet is missing or cut short"):
        VolumeStore.open(store.folder)
