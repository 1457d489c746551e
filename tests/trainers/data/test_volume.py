from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainers.data.participants import Subject
from trainers.data.readers import UnreadableError
from trainers.data.transforms import build_transforms
from trainers.data.volume import cast, load_scan

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
