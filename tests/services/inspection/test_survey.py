from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.services.inspection import survey as module
from contrasweep.services.inspection.survey import middle_slice, pooled, spread_over, survey
from tests.services.inspection.planted import images, source, store_of


def test_statistics_do_not_depend_on_how_many_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = images(40)
    scans["s21"][0, :2] = 0  # 2 of 8 planes
    store = store_of(tmp_path / "v", scans)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 7 * store.volume_nbytes)
    ticks: list[tuple[int, int]] = []
    found = survey(store, (21,), lambda done, total: ticks.append((done, total)))
    values = np.stack(list(scans.values())).astype(np.float64)
    np.testing.assert_allclose(found.mean, values.mean(axis=(1, 2, 3, 4)))
    np.testing.assert_allclose(found.sd, values.std(axis=(1, 2, 3, 4)))
    assert np.flatnonzero(found.zeros).tolist() == [21]
    assert found.zeros[21] == 0.25
    assert list(found.slices) == [21]
    assert ticks == [(7, 40), (14, 40), (21, 40), (28, 40), (35, 40), (40, 40)]


def test_pooling_averages_boxes_and_keeps_the_mean_of_even_ones() -> None:
    image = np.arange(6 * 20, dtype=np.uint8).reshape(6, 20)
    small = pooled(image, 5)
    assert small.shape == (5, 5)
    assert small[0, 0] == np.float32(np.mean([0, 1, 2, 3]))
    assert small[4, 4] == np.float32((image[4:6, 16:20]).mean())


def test_thumbnails_are_small_whatever_the_image(tmp_path: Path) -> None:
    store = store_of(tmp_path / "v", images(2, (5, 30, 9, 4)))
    thumbnails = survey(store, (), lambda done, total: None).thumbnails
    assert thumbnails is not None
    assert thumbnails.shape == (2, 8 * 8 * 4)


@pytest.mark.parametrize(
    ("shape", "placed", "expected"),
    [
        ((1, 4, 6, 9), True, lambda v: np.rot90(v[0, :, :, 4])),  # axial, anterior up
        ((1, 7, 6, 9), False, lambda v: v[0, 3]),  # the middle frame
        ((2, 6, 9), False, lambda v: v[0]),
        ((3, 6, 9), False, lambda v: np.moveaxis(v, 0, -1)),
        ((3, 6, 9), True, lambda v: np.rot90(v[0])),  # three echoes are no colours
        ((12, 30), False, lambda v: v),
        ((1, 3, 4, 6, 9), True, lambda v: np.rot90(v[0, 1, :, :, 4])),
    ],
)
def test_the_middle_slice(shape: tuple[int, ...], placed: bool, expected: Any) -> None:
    image: NDArray[np.float32] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(middle_slice(image, placed=placed), expected(image))


def test_large_slices_are_made_smaller() -> None:
    assert middle_slice(np.zeros((1, 1000, 90), np.uint8), placed=False).shape == (224, 90)


def test_what_is_shown_spreads_over_the_labels() -> None:
    labels = np.array([50.0, 10, 40, 20, 30])
    assert spread_over(labels, 3) == [1, 4, 0]
    assert spread_over(labels, 48) == [1, 3, 4, 2, 0]


def test_whether_voxels_are_placed_is_the_files_word(tmp_path: Path) -> None:
    scans = images(2, (1, 4, 6, 8))
    told = {"s01": {"source": source(scans["s01"], spacing_mm=None, orientation=None)}}
    found = survey(store_of(tmp_path / "v", scans, told), (0, 1), lambda done, total: None)
    assert found.slices[0].shape == (6, 4)
    assert found.slices[1].shape == (6, 8)
