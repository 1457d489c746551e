"""LeftHalf, BoundingBox, CLAHE, and MONAI's histogram equalisation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms

ROWS, COLUMNS = 6, 9
NUMBERED = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(1, ROWS, COLUMNS)
NAMES = ["x", "y", "w", "h"]


def one(name: str, **arguments: Any) -> Pipeline:
    return build_transforms([{name: arguments}], Path())


def test_the_left_half_is_the_first_columns_without_the_middle_one() -> None:
    half = one("LeftHalf")(Image(values=NUMBERED), {})
    assert half[0, 0].tolist() == [0, 1, 2, 3]
    assert half[0, -1].tolist() == [45, 46, 47, 48]


def test_views_side_by_side_become_channels_in_the_middle_of_the_widest() -> None:
    views = one("SideBySide", widths=[2, 4, 3])(Image(values=NUMBERED), {})
    assert views[:, 0].tolist() == [[0, 0, 1, 0], [2, 3, 4, 5], [6, 7, 8, 0]]
    with pytest.raises(UnreadableError, match="1 x 6 x 9 is not one channel of widths that add up to 8"):
        one("SideBySide", widths=[4, 4])(Image(values=NUMBERED), {})


def box(x: float, y: float, w: float, h: float) -> dict[str, float]:
    return dict(zip(NAMES, (x, y, w, h), strict=True))


def test_a_box_counts_columns_then_rows_from_the_top_left() -> None:
    cropped = one("BoundingBox", columns=NAMES)(Image(values=NUMBERED), box(2, 1, 3, 2))
    assert cropped.tolist() == [[[11, 12, 13], [20, 21, 22]]]


def test_a_box_may_be_the_whole_picture_and_has_fractions_rounded() -> None:
    whole = one("BoundingBox", columns=NAMES)(Image(values=NUMBERED), box(-0.4, 0.4, 9.3, 5.8))
    np.testing.assert_array_equal(whole, NUMBERED)


@pytest.mark.parametrize(
    "outside", [(-1, 0, 3, 3), (0, -1, 3, 3), (7, 0, 3, 3), (0, 4, 3, 3), (2, 2, 0, 3), (2, 2, 3, -1)]
)
def test_a_box_outside_the_picture_is_refused_with_its_numbers(outside: tuple[float, ...]) -> None:
    x, y, w, h = outside
    reason = f"x {x}, y {y}, width {w}, height {h} is no box inside the picture, 9 wide and 6 high"
    with pytest.raises(UnreadableError, match=reason):
        one("BoundingBox", columns=NAMES)(Image(values=NUMBERED), box(x, y, w, h))


def test_the_affine_follows_a_box() -> None:
    """Row 1, column 2 of the picture is the first of what is cropped: both are at one place."""
    affine = np.array([[0.0, 0.5, 0, 10], [0.7, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])
    step = one("BoundingBox", columns=NAMES).steps[0]
    cropped = step(Image(values=NUMBERED, affine=affine), box(2, 1, 3, 2))
    assert cropped.affine is not None
    np.testing.assert_allclose(cropped.affine @ [0, 0, 0, 1], affine @ [1, 2, 0, 1])


def test_a_box_of_the_whole_picture_comes_before_the_half() -> None:
    before = build_transforms([{"BoundingBox": {"columns": NAMES}}, {"LeftHalf": {}}], Path())
    after = build_transforms([{"LeftHalf": {}}, {"BoundingBox": {"columns": NAMES}}], Path())
    assert before(Image(values=NUMBERED), box(4, 0, 4, 2))[0, 0].tolist() == [4, 5]
    with pytest.raises(UnreadableError, match="4 wide and 6 high"):
        after(Image(values=NUMBERED), box(4, 0, 4, 2))


def two_exposures() -> Image:
    """Weak waves, on a dark left half and on a bright right one, in some unit."""
    waves = 40 * np.sin(np.arange(64)) * np.ones((48, 1))
    return Image(values=(waves + np.where(np.arange(64) < 32, 500.0, 3000.0))[None].astype(np.float32))


def test_clahe_raises_contrast_everywhere_and_gives_0_to_1() -> None:
    given = two_exposures()
    equalised = one("CLAHE", tiles=4, clip_limit=0.1)(given, {})
    assert equalised.min() >= 0 and equalised.max() <= 1
    scaled = (given.values - given.values.min()) / np.ptp(given.values)
    for half in (slice(4, 28), slice(36, 60)):
        assert equalised[0, :, half].std() > 3 * scaled[0, :, half].std()


def test_clahe_does_not_depend_on_the_unit_and_takes_a_flat_channel() -> None:
    given = two_exposures()
    flat = Image(values=np.concatenate([given.values, np.full_like(given.values, 7)]))
    scaled = Image(values=flat.values * 4 - 500)
    clahe = one("CLAHE", tiles=4)
    np.testing.assert_allclose(clahe(scaled, {}), clahe(flat, {}), atol=0.01)
    assert (clahe(flat, {})[1] == 0).all()


def test_monai_equalises_a_histogram() -> None:
    """Of an equalised picture, each tenth of the range holds a tenth of the pixels."""
    crowded = np.random.default_rng(0).normal(90, 20, (1, 100, 100)).astype(np.float32)
    equalised = one("HistogramNormalize", min=0, max=1)(Image(values=crowded), {})
    np.testing.assert_allclose(np.histogram(equalised, 10, (0, 1))[0] / 10_000, 0.1, atol=0.02)
