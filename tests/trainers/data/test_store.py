import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from upath import UPath

from contrasweep.trainers.data.locked import load_external, load_test
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Dtype, Volume, VolumeStore, read_manifest, remove_abandoned, write_shard
from contrasweep.trainers.errors import UserError
from tests.trainers.data.small_store import write_store


def test_rows_come_in_the_order_asked_for(store: VolumeStore) -> None:
    rows = np.array([59, 0, 13, 14, 7])
    images = store.read_rows(rows)
    assert images.shape == (5, 1, 3, 4)
    np.testing.assert_array_equal(images[:, 0, 0, 0], rows)


def test_rows_are_found_across_row_groups(store: VolumeStore) -> None:
    shape = (1, 128, 256)  # 128 KiB each: two in a row group
    volumes = (Volume(f"s{i}", float(i), None, np.full(shape, i, dtype=np.float32)) for i in range(5))
    shard = write_shard(store.folder / "big.parquet", volumes, shape, "float32")
    assert shard is not None
    file = pq.ParquetFile(store.folder / "big.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 1]
    changes = {"shards": (shard,), "subjects": store.subjects[:5], "image_shape": shape}
    images = VolumeStore(store.folder, store.manifest.model_copy(update=changes)).read_rows(np.array([4, 1, 2]))
    assert images[:, 0, 0, 0].tolist() == [4, 1, 2]


def test_plain_pyarrow_reads_a_shard_with_its_shape(store: VolumeStore) -> None:
    table = pq.read_table(store.folder / "shard-00001.parquet")
    assert table.column_names == ["id", "label", "group", "image"]
    told = table.schema.field("image").metadata
    assert told == {b"dtype": b"float32", b"shape": b"[1, 3, 4]"}
    images = np.frombuffer(table["image"].combine_chunks().buffers()[1], "float32").reshape(-1, 1, 3, 4)
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(7, 14))
    assert table["label"].to_pylist() == [27.0 + i for i in range(7)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_values_come_back_in_the_stores_dtype(tmp_path: Path, dtype: Dtype) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4)).astype(dtype)
    volumes = [Volume(f"s{row}", float(row), None, image) for row, image in enumerate(images)]
    kept = write_store(tmp_path / dtype, volumes, per_shard=2, dtype=dtype)
    assert kept.volume_nbytes == 24 * images.itemsize
    assert kept.load(["s1", "s3", "s4"]).images.dtype == dtype
    np.testing.assert_array_equal(kept.load(["s1", "s3", "s4"]).images, images[[1, 3, 4]])


def test_the_same_volumes_give_the_same_bytes(tmp_path: Path) -> None:
    volumes = [Volume("a", 1.0, None, np.ones((1, 2), dtype=np.float32))]
    first, second = (write_shard(UPath(tmp_path / name), volumes, (1, 2), "float32") for name in ("a", "b"))
    assert first is not None
    assert second is not None
    assert first.digest == second.digest


def test_a_shard_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    def volumes() -> Iterator[Volume]:
        yield Volume("a", 1.0, None, np.ones((1, 2**21), dtype=np.float32))
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_shard(UPath(tmp_path / "a.parquet"), volumes(), (1, 2**21), "float32")
    assert not list(tmp_path.iterdir())
    assert write_shard(UPath(tmp_path / "none.parquet"), [], (1, 2), "float32") is None


def test_groups_are_numbered_in_sorted_order(store: VolumeStore) -> None:
    assert store.groups is not None
    assert store.groups[:4].tolist() == [0, 1, 0, 1]


def test_loaded_rows_are_in_store_order(store: VolumeStore) -> None:
    rows = store.load(["s05", "s01"])
    assert rows.rows.tolist() == [1, 5]
    assert rows.labels.tolist() == [21.0, 25.0]
    assert rows.images[:, 0, 0, 0].tolist() == [1.0, 5.0]


def test_the_test_split_comes_in_parts(store: VolumeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contrasweep.trainers.data.store._PART_BYTES", 2 * store.volume_nbytes)
    parts = list(load_test(store, Splits(train=(), validation=(), test=("s02", "s07", "s31"))))
    assert [part.rows.tolist() for part in parts] == [[2, 7], [31]]
    assert parts[1].images[0, 0, 0, 0] == 31


def test_all_of_a_cohort_comes_in_parts(store: VolumeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contrasweep.trainers.data.store._PART_BYTES", 25 * store.volume_nbytes)
    parts = list(load_external(store))
    assert [len(part.rows) for part in parts] == [25, 25, 10]
    assert np.concatenate([part.labels for part in parts]).tolist() == store.labels.tolist()


def test_a_folder_without_manifest_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no volume store"):
        VolumeStore.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, r"manifest.json: 'format' 99 is of a newer contrasweep; this one reads up to 2"),
        ({"format": 1}, r"'format'"),
        ({"image_shape": "wide"}, r"'image_shape'"),
        ({"dtype": "int8"}, r"'dtype'"),
        ({"colour": "red"}, r"'colour'"),
        ({"subjects": []}, r"was changed since it was written"),
        ({"image_shape": [1, 4, 3]}, r"was changed since it was written"),
        ({"digest": None}, r"was changed since it was written"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused_in_one_line(
    store: VolumeStore, change: dict[str, object], message: str
) -> None:
    path = store.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message) as caught:
        read_manifest(store.folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00\xff"])
def test_a_manifest_that_is_no_json_is_refused_in_one_line(store: VolumeStore, text: str) -> None:
    (store.folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest.json: .*delete .* and prepare again") as caught:
        VolumeStore.open(store.folder)
    assert "\n" not in str(caught.value)


def flip(path: UPath, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def test_damaged_shards_are_named_when_a_store_is_opened(store: VolumeStore) -> None:
    shards = [store.folder / f"shard-{number:05d}.parquet" for number in range(3)]
    flip(shards[0], 10)
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    shards[2].unlink()
    assert [shard.file for shard in store.damaged()] == [shard.name for shard in shards]
    with pytest.raises(UserError, match=r"shard-00000.parquet, shard-00001.parquet, shard-00002.parquet missing, cut"):
        VolumeStore.open(store.folder)


def test_damage_after_opening_is_found_when_it_is_read(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    store = write_store(tmp_path / "s", [Volume("a", 1.0, None, image)], per_shard=1)
    flip(store.folder / "shard-00000.parquet", 8000)
    with pytest.raises(UserError, match=r"shard-00000.parquet cannot be read") as caught:
        store.read_rows(np.array([0]))
    assert "\n" not in str(caught.value)


def test_a_shard_that_was_made_again_is_read_anew(store: VolumeStore) -> None:
    store.read_rows(np.array([0]))
    volumes = [Volume(f"s{i:02d}", 0.0, None, np.full((1, 3, 4), -1, dtype=np.float32)) for i in range(7)]
    write_shard(store.folder / "shard-00000.parquet", volumes, (1, 3, 4), "float32")
    assert store.read_rows(np.array([0])).max() == -1


def test_what_processes_that_are_gone_left_half_written_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = f".shard-00000.parquet.{socket.gethostname()}"
    here, dead, elsewhere = f"{name}-{os.getpid()}-1", f"{name}-{gone.pid}-1", f".shard-00000.parquet.else-{gone.pid}-1"
    for left in (here, dead, elsewhere, ".shard-00000.parquet.json", "shard-00000.parquet"):
        (tmp_path / left).touch()
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        here,
        elsewhere,
        ".shard-00000.parquet.json",
        "shard-00000.parquet",
    }
