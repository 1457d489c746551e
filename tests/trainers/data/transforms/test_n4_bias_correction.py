from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms

SIDE = 40


def ball() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two tissues, 60 and 100, in a ball with nothing around; and where the inner one is."""
    radius = np.linalg.norm(np.indices((SIDE,) * 3) - (SIDE - 1) / 2, axis=0) / SIDE
    return np.select([radius < 0.28, radius < 0.42], [100.0, 60.0], 0.0).astype(np.float32), radius < 0.26


def field() -> NDArray[np.float32]:
    x, y, z = np.indices((SIDE,) * 3) / SIDE - 0.5
    return np.asarray(np.exp(0.5 * x + 0.4 * np.sin(3 * y) - 0.3 * z), dtype=np.float32)


def n4(**arguments: Any) -> Pipeline:
    return build_transforms([{"N4BiasCorrection": arguments}], Path())


def spread(values: NDArray[np.float32]) -> float:
    return float(values.std() / values.mean())


@pytest.mark.parametrize("mask", ["nonzero", "otsu"])
def test_a_known_field_is_flattened_and_nothing_stays_nothing(mask: str) -> None:
    tissues, inner = ball()
    biased = tissues * field()
    corrected = n4(mask=mask, shrink=2)(Image(values=biased[None]), {})[0]
    assert spread(corrected[inner]) < spread(biased[inner]) / 4
    assert (corrected[tissues == 0] == 0).all()


def test_each_channel_has_its_own_field() -> None:
    tissues, inner = ball()
    slices = np.stack([tissues * field(), tissues])[:, SIDE // 2]
    both = n4(mask="nonzero", shrink=1)(Image(values=slices), {})
    alone = n4(mask="nonzero", shrink=1)(Image(values=slices[:1]), {})
    np.testing.assert_array_equal(both[0], alone[0])
    assert spread(both[1][inner[SIDE // 2]]) < 0.02, "as it has none"


def test_a_picture_is_corrected_too() -> None:
    tissues, inner = (part[SIDE // 2] for part in ball())
    biased = tissues * field()[SIDE // 2]
    corrected = n4(mask="nonzero", shrink=1)(Image(values=biased[None]), {})[0]
    assert spread(corrected[inner]) < spread(biased[inner]) / 2


def test_negative_values_are_refused() -> None:
    with pytest.raises(UnreadableError, match="takes values from 0; this image has -1"):
        n4()(Image(values=ball()[0][None] - 1), {})
