from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.inspection import look_alikes as module
from contrasweep.services.inspection.survey import survey
from contrasweep.trainers.data.store import VolumeStore
from tests.services.inspection.planted import images, store_of


def pairs_of(store: VolumeStore) -> list[tuple[str, str]]:
    thumbnails = survey(store, (), lambda done, total: None).thumbnails
    assert thumbnails is not None
    ids = [scan.id for scan in store.subjects]
    return [(ids[pair.rows[0]], ids[pair.rows[1]]) for pair in module.look_alikes(store, thumbnails)]


def test_a_noisy_and_a_rescaled_copy_are_found_and_nothing_else(tmp_path: Path) -> None:
    scans = images(20)
    noise = np.random.default_rng(1).normal(0, 0.2, scans["s03"].shape).astype(np.float32)
    scans["s17"] = scans["s03"] + noise
    scans["s09"] = 3 * scans["s05"] - 50
    assert pairs_of(store_of(tmp_path / "v", scans)) == [("s03", "s17"), ("s05", "s09")]


def test_equal_images_are_no_look_alikes(tmp_path: Path) -> None:
    scans = images(5)
    scans["s03"] = scans["s01"]
    assert pairs_of(store_of(tmp_path / "v", scans)) == []


def test_different_small_lesions_in_one_place_do_not_look_alike(tmp_path: Path) -> None:
    lesions = {name: np.zeros((1, 32, 32, 32), dtype=np.float32) for name in ("s00", "s01", "s02")}
    lesions["s00"][0, 8, 8, 8] = 1  # the first two are in one box of 4 x 4 x 4, of which a thumbnail has the mean
    lesions["s01"][0, 10, 9, 11] = 1
    lesions["s02"][0, 20, 20, 20] = 1
    assert pairs_of(store_of(tmp_path / "v", lesions)) == []


def test_flat_thumbnails_look_like_nothing(tmp_path: Path) -> None:
    board = np.indices((16, 16)).sum(axis=0)[None] % 2
    scans = {"s00": 1e6 + board.astype(np.float32), "s01": 1e6 + 3 * board.astype(np.float32)}
    assert pairs_of(store_of(tmp_path / "v", scans)) == []


def test_pairs_are_found_in_and_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = images(10)
    scans["s01"], scans["s08"], scans["s09"] = scans["s00"] + 1, scans["s02"] + 1, scans["s05"] + 1
    monkeypatch.setattr(module, "_BLOCK", 4)
    assert sorted(pairs_of(store_of(tmp_path / "v", scans))) == [("s00", "s01"), ("s02", "s08"), ("s05", "s09")]


def test_the_search_ends_where_all_look_alike(tmp_path: Path) -> None:
    first = images(1)["s00"]
    scans = {f"s{number:02d}": first + number for number in range(60)}  # 1770 pairs
    assert len(pairs_of(store_of(tmp_path / "v", scans))) == module.MOST_PAIRS
