"""GlobalSignalRegression, BandPass, Parcellate, and MONAI's part in fMRI."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms
from tests.trainers.data.transforms import heads

TR_S, LENGTH = 0.8, 600


def one(name: str, **arguments: Any) -> Pipeline:
    return build_transforms([{name: arguments}], Path())


def sine(hz: float) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * hz * TR_S * np.arange(LENGTH)))


def test_what_is_left_has_nothing_of_the_global_signal() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=LENGTH)
    series = (rng.normal(size=(20, LENGTH)) + rng.uniform(1, 3, (20, 1)) * shared + 50).astype(np.float32)
    left = one("GlobalSignalRegression")(Image(values=series), {})
    signal = series.mean(axis=0) - series.mean()
    correlations = left @ signal / np.linalg.norm(left, axis=1) / np.linalg.norm(signal)
    assert np.abs(correlations).max() < 1e-5
    np.testing.assert_allclose(left.mean(axis=1), 0, atol=1e-5)
    design = np.stack([np.ones(LENGTH), series.astype(np.float64).mean(axis=0)], axis=1)
    fitted, *_ = np.linalg.lstsq(design, series.T.astype(np.float64))
    np.testing.assert_allclose(left, series - (design @ fitted).T, atol=1e-4)


def test_one_region_has_no_global_signal() -> None:
    with pytest.raises(UnreadableError, match="two regions or more"):
        one("GlobalSignalRegression")(Image(values=np.ones((1, 9), dtype=np.float32)), {})


@pytest.mark.parametrize(("hz", "kept"), [(0.002, 0.0), (0.03, 1.0), (0.05, 1.0), (0.07, 1.0), (0.2, 0.0), (0.5, 0.0)])
def test_frequencies_in_the_band_pass_without_delay_and_others_do_not(hz: float, kept: float) -> None:
    values = np.stack([sine(hz), 100 + sine(hz)]).astype(np.float32)
    filtered = one("BandPass", tr_s=TR_S)(Image(values=values), {})
    middle = slice(200, -200)  # the filter rings where the series is cut off
    for row in filtered:
        np.testing.assert_allclose(row[middle], kept * sine(hz)[middle], atol=0.06)


def test_a_file_that_tells_another_tr_is_refused() -> None:
    values = np.stack([sine(0.05), 100 + sine(0.05)]).astype(np.float32)
    steps: list[dict[str, Any]] = [{"NormalizeIntensity": {"channel_wise": True}}, {"BandPass": {"tr_s": TR_S}}]
    pipeline = build_transforms(steps, Path())
    told, untold = (pipeline(Image(values=values.copy(), step_s=step_s), {}) for step_s in (0.801, None))
    np.testing.assert_array_equal(told, untold)
    with pytest.raises(UnreadableError, match=r"BandPass.tr_s is 0.8, but the file says 2 s"):
        pipeline(Image(values=values, step_s=2.0), {})


def test_a_series_too_short_to_filter_is_refused() -> None:
    with pytest.raises(UnreadableError, match=r"data.transforms\[0\] BandPass fails on shape \(3, 20\)"):
        one("BandPass", tr_s=TR_S)(Image(values=np.ones((3, 20), dtype=np.float32)), {})


def test_monai_standardises_each_region_and_pads_or_crops_time() -> None:
    values = np.random.default_rng(0).normal(5, 2, (2, 40)).astype(np.float32)
    values[1] *= 30
    standard = one("NormalizeIntensity", channel_wise=True)(Image(values=values), {})
    np.testing.assert_allclose(standard.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=1), 1, atol=1e-5)
    longer = one("ResizeWithPadOrCrop", spatial_size=[50])(Image(values=values), {})
    np.testing.assert_array_equal(longer, np.pad(values, ((0, 0), (5, 5))))
    shorter = one("ResizeWithPadOrCrop", spatial_size=[30])(Image(values=values), {})
    np.testing.assert_array_equal(shorter, values[:, 5:35])


def atlas(folder: Path, labels: NDArray[Any], affine: heads.Array) -> Pipeline:
    heads.write(folder / "atlas.nii.gz", labels.astype(np.float32), affine)
    return build_transforms([{"Parcellate": {"atlas": "atlas.nii.gz"}}], folder)


LABELS = np.zeros((4, 4, 4))
LABELS[0], LABELS[1, :2], LABELS[3] = 7, 2, 30


def test_series_of_regions_are_means_in_the_order_of_labels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 4, 4, 4)).astype(np.float32)
    series = atlas(tmp_path, LABELS, np.eye(4))(Image(values=values, affine=np.eye(4)), {})
    expected = [[frame[label == LABELS].mean() for frame in values] for label in (2, 7, 30)]
    np.testing.assert_allclose(series, expected, rtol=1e-5)


def test_atlas_and_image_may_have_different_grids(tmp_path: Path) -> None:
    """Each atlas voxel of 2 mm is 2 x 2 x 2 of the image's, whose first axis runs the other way."""
    coarse = np.diag([2.0, 2, 2, 1])
    fine = np.array([[-1.0, 0, 0, 6.5], [0, 1, 0, -0.5], [0, 0, 1, -0.5], [0, 0, 0, 1]])
    labels = LABELS.repeat(2, 0).repeat(2, 1).repeat(2, 2)[::-1]
    values = np.random.default_rng(0).random((3, 8, 8, 8)).astype(np.float32)
    series = atlas(tmp_path, LABELS, coarse)(Image(values=values, affine=fine), {})
    expected = [[frame[labels == label].mean() for frame in values] for label in (2, 7, 30)]
    np.testing.assert_allclose(series, expected, rtol=1e-5)


def test_a_region_outside_the_image_or_without_signal_is_named(tmp_path: Path) -> None:
    parcellate = atlas(tmp_path, LABELS, np.eye(4))
    values = np.random.default_rng(0).random((3, 4, 4, 4)).astype(np.float32)
    with pytest.raises(UnreadableError, match=r"region 30 of atlas.nii.gz lies outside the image"):
        parcellate(Image(values=values[:, :3], affine=np.eye(4)), {})
    values[:, 0] = 0
    with pytest.raises(UnreadableError, match=r"region 7 of atlas.nii.gz has no signal"):
        parcellate(Image(values=values, affine=np.eye(4)), {})
    with pytest.raises(UnreadableError, match="region 2, 7, 30 of"):
        parcellate(Image(values=values, affine=np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 90), {})


def test_one_volume_is_no_series(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"takes series of volumes; this image is \[1, 4, 4, 4\]"):
        atlas(tmp_path, LABELS, np.eye(4))(Image(values=np.ones((1, 4, 4, 4), np.float32), affine=np.eye(4)), {})


def test_a_probability_map_is_no_atlas(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no whole numbers"):
        atlas(tmp_path, LABELS / 7, np.eye(4))(Image(values=np.ones((2, 4, 4, 4), np.float32), affine=np.eye(4)), {})


def test_labels_that_float32_would_merge_are_refused(tmp_path: Path) -> None:
    labels = np.where(LABELS == 7, 312_782_546, 312_782_550)
    with pytest.raises(UnreadableError, match="no whole numbers from 0 to 16777216"):
        atlas(tmp_path, labels, np.eye(4))(Image(values=np.ones((2, 4, 4, 4), np.float32), affine=np.eye(4)), {})


def test_an_atlas_written_anew_is_read_anew(tmp_path: Path) -> None:
    image = Image(values=np.random.default_rng(0).random((5, 4, 4, 4)).astype(np.float32), affine=np.eye(4))
    assert len(atlas(tmp_path, LABELS, np.eye(4))(image, {})) == 3
    assert len(atlas(tmp_path, LABELS == 7, np.eye(4))(image, {})) == 1
