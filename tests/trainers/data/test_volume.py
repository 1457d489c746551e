from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.data.volume import cast, load_scan

NOISE = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("values", [NOISE, NOISE * 60000, NOISE * 1e-3 - 5e-4, NOISE + 50])
def test_float16_holds_what_is_of_its_size(values: NDArray[Any]) -> None:
    assert np.abs(cast(values, "float16") - values).max() <= np.abs(values).max() * 2**-11


@pytest.mark.parametrize(
    ("values", "dtype"),
    [(NOISE * 1e-9, "float16"), (NOISE * 1e-30, "float16"), (NOISE * 10 + 60000, "float16"), (NOISE * 1e-30, "uint8")],
    ids=["below the smallest", "squares vanish in float32", "on a large offset", "fractions"],
)
def test_an_image_that_rounding_would_flatten_is_refused(values: NDArray[Any], dtype: str) -> None:
    with pytest.raises(UnreadableError, match=f"would be lost in data.dtype {dtype}, which holds"):
        cast(values, dtype)


def test_float32_is_kept() -> None:
    assert cast(NOISE, "float32") is NOISE


def saved(folder: Path, shape: tuple[int, ...]) -> Subject:
    """A scan whose array has this shape."""
    np.save(folder / "a.npy", np.random.default_rng(0).random(shape, dtype=np.float32))
    return Subject("a", "a", (folder / "a.npy",), 1.0, None, {}, {}, {})


@pytest.mark.parametrize(
    ("shape", "settled", "prepared"),
    [
        ((18, 22, 19), {"EnsureChannelFirst": {"channel_dim": "no_channel"}}, (1, 18, 22, 19)),
        ((18, 22, 19), {"EnsureChannelFirst": {"channel_dim": 0}}, (18, 22, 19)),
        ((20, 30, 3), {"EnsureChannelFirst": {"channel_dim": -1}}, (3, 20, 30)),
        ((20, 30, 4), {"EnsureChannelFirst": {"channel_dim": -1}}, (4, 20, 30)),
        ((18, 22, 19, 5), {"EnsureChannelFirst": {"channel_dim": -1}}, (5, 18, 22, 19)),
        ((1, 1, 6, 7, 8), {"SqueezeDim": {"dim": 0}}, (1, 6, 7, 8)),
        ((2, 1, 6, 7, 8), {"SqueezeDim": {"dim": 1}}, (2, 6, 7, 8)),
    ],
)
def test_an_array_that_is_hardly_channels_first_asks_for_the_transform_that_says(
    shape: tuple[int, ...], settled: dict[str, Any], prepared: tuple[int, ...], tmp_path: Path
) -> None:
    scan = saved(tmp_path, shape)
    with pytest.raises(UnreadableError) as caught:
        load_scan(scan, build_transforms([], tmp_path), "float32")
    ((name, arguments),) = settled.items()
    assert str(list(shape)) in str(caught.value)
    assert f"{name}: " in str(caught.value)
    assert ", ".join(f"{key}: {value}" for key, value in arguments.items()) in str(caught.value)
    assert load_scan(scan, build_transforms([settled], tmp_path), "float32").values.shape == prepared


@pytest.mark.parametrize("shape", [(400, 60), (16, 20, 20), (1, 20, 30, 4), (3, 20, 30)])
def test_an_array_that_may_well_be_channels_first_is_taken_so(shape: tuple[int, ...], tmp_path: Path) -> None:
    assert load_scan(saved(tmp_path, shape), build_transforms([], tmp_path), "float32").values.shape == shape


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_fills_a_background_that_is_no_number_is_named(value: float, tmp_path: Path) -> None:
    scan = saved(tmp_path, (1, 4, 5))
    values = np.load(scan.path)
    values[0, 1:3] = value
    np.save(scan.path, values)
    with pytest.raises(UnreadableError, match=r"^10 of 20 voxels are not finite"):
        load_scan(scan, build_transforms([], tmp_path), "float32")
    if np.isnan(value):
        filled = load_scan(scan, build_transforms([{"SignalFillEmpty": {"replacement": 0}}], tmp_path), "float32")
        np.testing.assert_array_equal(filled.values, np.nan_to_num(values))


def several(folder: Path, **images: NDArray[Any] | nib.Nifti1Image) -> Subject:
    """A scan of these images: arrays as .npy, others as NIfTI."""
    paths = []
    for name, image in images.items():
        path = folder / f"{name}{'.npy' if isinstance(image, np.ndarray) else '.nii.gz'}"
        np.save(path, image) if isinstance(image, np.ndarray) else nib.save(image, path)
        paths.append(path)
    return Subject("a", "a", tuple(paths), 1.0, None, {}, {}, {"age": 40.0}, image_names=tuple(images))


def nifti(seed: int, shape: tuple[int, ...] = (8, 9, 10), affine: NDArray[Any] | None = None) -> nib.Nifti1Image:
    values = np.random.default_rng(seed).random(shape, dtype=np.float32) * 10**seed
    return nib.Nifti1Image(values, np.eye(4) if affine is None else affine)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("order", [("t1", "t2", "maps"), ("maps", "t2", "t1")])
def test_channels_are_what_each_image_alone_would_be(order: tuple[str, ...], dtype: str, tmp_path: Path) -> None:
    images = {"t1": nifti(1), "t2": nifti(3), "maps": nifti(0, (8, 9, 10, 3))}
    scan = several(tmp_path, **{name: images[name] for name in order})
    steps: list[Any] = [{"Resize": {"spatial_size": [5, 6, 7]}}, {"ScaleIntensity": {"minv": 0, "maxv": 250}}]
    pipeline = build_transforms(steps, tmp_path)
    alone = [load_scan(replace(scan, paths=(path,), image_names=("",)), pipeline, dtype) for path in scan.paths]
    together = load_scan(scan, pipeline, dtype)
    assert together.values.shape == (5, 5, 6, 7)
    assert together.values.dtype == dtype
    np.testing.assert_array_equal(together.values, np.concatenate([one.values for one in alone]))
    assert together.sources == tuple(source for one in alone for source in one.sources)


def test_the_grids_that_count_are_those_after_the_transforms(tmp_path: Path) -> None:
    half = np.diag([2.0, 2.0, 2.0, 1.0])
    half[:3, 3] = 0.5  # its first voxel covers the other image's first two
    scan = several(tmp_path, t1=nifti(1, (16, 16, 16)), t2=nifti(1, (8, 8, 8), half))
    with pytest.raises(UnreadableError, match=r"^t2: shape \[8, 8, 8\] differs from t1's \[16, 16, 16\]"):
        load_scan(scan, build_transforms([], tmp_path), "float32")
    with pytest.raises(UnreadableError, match=r"^t2: affine \[2, 0, 0, 0\.5; .* differs from t1's \[1, 0, 0, 4; "):
        load_scan(scan, build_transforms([{"ResizeWithPadOrCrop": {"spatial_size": [8, 8, 8]}}], tmp_path), "float32")
    shared = build_transforms([{"Resize": {"spatial_size": [8, 8, 8]}}], tmp_path)
    assert load_scan(scan, shared, "float32").values.shape == (2, 8, 8, 8)


def test_a_crop_to_each_images_own_content_is_no_shared_grid(tmp_path: Path) -> None:
    """What is cropped to the same shape at different places would look alike, if only shapes were compared."""
    values = np.zeros((2, 12, 12, 12), dtype=np.float32)
    values[0, 1:6, 2:7, 2:7] = values[1, 4:9, 2:7, 2:7] = 1 + np.random.default_rng(0).random((5, 5, 5))
    scan = several(tmp_path, t1=nib.Nifti1Image(values[0], np.eye(4)), t2=nib.Nifti1Image(values[1], np.eye(4)))
    with pytest.raises(UnreadableError, match=r"^t2: affine .* differs from t1's"):
        load_scan(scan, build_transforms([{"CropForeground": {}}], tmp_path), "float32")
    assert load_scan(scan, build_transforms([], tmp_path), "float32").values.shape == (2, 12, 12, 12)


def test_what_is_wrong_with_an_image_names_it(tmp_path: Path) -> None:
    good, flat, broken = NOISE, np.ones((1, 8, 8), dtype=np.float32), NOISE.copy()
    broken[0, 0, 0] = np.inf
    cases: dict[str, NDArray[Any]] = {
        "has no contrast: every voxel is 1": flat,
        "1 of 64 voxels are not finite": broken,
        r"\[20, 30, 3\] would be 20 channels": np.random.default_rng(0).random((20, 30, 3)),
    }
    for reason, image in cases.items():
        with pytest.raises(UnreadableError, match=f"^t2: {reason}"):
            load_scan(several(tmp_path, t1=good, t2=image), build_transforms([], tmp_path), "float32")


def test_an_image_that_the_dtype_would_lose_is_named_beside_one_of_a_larger_scale(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"^t2: values from .* would be lost in data\.dtype float16"):
        load_scan(several(tmp_path, t1=NOISE, t2=NOISE * 1e-9), build_transforms([], tmp_path), "float16")
