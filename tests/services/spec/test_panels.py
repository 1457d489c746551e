import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.services.spec.panels import FEWEST_PICTURES, panels


def pictures(*views: tuple[int, int], height: int = 20, count: int = FEWEST_PICTURES) -> list[NDArray[np.uint8]]:
    """`count` pictures of views, each with something from one column to before another."""
    rng = np.random.default_rng(0)
    shown = np.zeros((count, 1, height, 64), np.uint8)
    for begin, end in views:
        shown[..., 3:-3, begin:end] = rng.integers(1, 255, (count, 1, height - 6, end - begin))
    return list(shown)


def test_views_are_cut_in_the_middle_of_gaps() -> None:
    assert panels(pictures((2, 20), (24, 40), (44, 62))) == (22, 20, 22)


@pytest.mark.parametrize(
    "of",
    [
        pictures((2, 62)),
        pictures((2, 20), (24, 40), (44, 62), count=FEWEST_PICTURES - 1),
        pictures((2, 20), (24, 62), height=60),
        [np.repeat(picture, 3, axis=0) for picture in pictures((2, 30), (34, 62))],
        [*pictures((2, 30), (34, 62)), np.zeros((1, 20, 60), np.uint8)],
    ],
    ids=["one view", "few pictures", "views too narrow", "colour", "several sizes"],
)
def test_one_view(of: list[NDArray[np.uint8]]) -> None:
    assert panels(of) is None


def test_one_picture_in_twenty_may_cross_a_gap() -> None:
    crossed = pictures((2, 30), (34, 62), count=20)
    crossed[0][:] = 9
    crossed[0][0, 0, 0] = 0
    assert panels(crossed) == (32, 32)
    assert panels(crossed[:10]) is None
