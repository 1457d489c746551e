"""Whether the images of a scan are on one grid, and how a reason names the one that is not."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.several import check_grids, naming, same_places

PLACED = np.diag([-2.0, 2.0, 2.0, 1.0]) + np.array([[0, 0, 0, 90], [0, 0, 0, -126], [0, 0, 0, -72], [0, 0, 0, 0]])


def image(*shape: int, affine: NDArray[np.float64] | None = None) -> Image:
    return Image(values=np.zeros(shape, dtype=np.float32), affine=affine)


def shifted(mm: float) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = PLACED.copy()
    moved[0, 3] += mm
    return moved


def test_channels_may_differ_where_space_does_not() -> None:
    check_grids({"t1": image(1, 4, 5, 6, affine=PLACED), "bold": image(9, 4, 5, 6, affine=shifted(1e-4))})


def test_another_shape_names_both_images() -> None:
    told = re.escape("t2: shape [4, 5, 7] differs from t1's [4, 5, 6]; images of one scan must be on one grid after")
    with pytest.raises(UnreadableError, match=f"^{told}"):
        check_grids({"t1": image(1, 4, 5, 6), "pd": image(1, 4, 5, 6), "t2": image(1, 4, 5, 7)})


def test_another_affine_names_both_images() -> None:
    told = "t2: affine [-2, 0, 0, 93; 0, 2, 0, -126; 0, 0, 2, -72] differs from t1's [-2, 0, 0, 90; 0, 2, 0, -126; "
    with pytest.raises(UnreadableError, match=f"^{re.escape(told)}"):
        check_grids({"t1": image(1, 4, 5, 6, affine=PLACED), "t2": image(1, 4, 5, 6, affine=shifted(3))})


def test_images_that_do_not_tell_where_they_lie_fit_all_and_the_others_each_other() -> None:
    check_grids({"map": image(1, 4, 5, 6), "t1": image(1, 4, 5, 6, affine=PLACED)})
    with pytest.raises(UnreadableError, match=r"^t2: affine .* differs from t1's"):
        check_grids(
            {
                "map": image(1, 4, 5, 6),
                "t1": image(1, 4, 5, 6, affine=PLACED),
                "t2": image(1, 4, 5, 6, affine=np.eye(4)),
            }
        )


def test_a_turn_shows_at_the_corners_of_a_large_image_only() -> None:
    angle = 0.002
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert same_places(PLACED, PLACED @ turn, (10, 10, 10))
    assert not same_places(PLACED, PLACED @ turn, (100, 100, 10))


def test_pictures_and_series_have_places_too() -> None:
    assert same_places(PLACED, shifted(0.05), (30, 20))
    assert not same_places(PLACED, shifted(0.2), (30,))


@pytest.mark.parametrize(("name", "told"), [("t2", "t2: ends early"), ("", "ends early")])
def test_a_reason_has_the_name_of_the_image_where_there_is_one(name: str, told: str) -> None:
    with pytest.raises(UnreadableError, match=f"^{told}$"), naming(name):
        raise UnreadableError("ends early")
