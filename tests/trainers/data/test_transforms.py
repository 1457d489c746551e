from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contrasweep.trainers.data.readers import Image
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.errors import UserError


def test_transforms_run_in_order_and_give_float32() -> None:
    steps: list[dict[str, dict[str, Any]]] = [
        {"Resize": {"spatial_size": [2, 5]}},
        {"NormalizeIntensity": {"nonzero": True}},
    ]
    given = np.random.default_rng(0).uniform(1, 2, (1, 4, 10)).astype(np.float32)
    image = build_transforms(steps, Path())(Image(values=given), {})
    assert image.shape == (1, 2, 5)
    assert image.dtype == np.float32
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert image.std() == pytest.approx(1, abs=1e-4)


def test_without_transforms_the_image_stays() -> None:
    image = np.ones((1, 2), dtype=np.float32)
    np.testing.assert_array_equal(build_transforms([], Path())(Image(values=image), {}), image)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"Resise": {}}, r"data.transforms\[0\]: unknown transform 'Resise'; did you mean 'Resize'"),
        ({"Resize": {"spatial_sise": [2]}}, "no argument 'spatial_sise'; did you mean 'spatial_size'"),
        ({"Resize": {}}, "Resize refuses {}"),
        ({"RandFlip": {}}, "'RandFlip' is random"),
        ({"LoadImage": {}}, "unknown transform 'LoadImage'"),
        ({"Lambda": {"func": "exit"}}, "unknown transform 'Lambda'"),
        ({"Resize": {}, "Flip": {}}, "one transform for each list entry"),
    ],
)
def test_a_wrong_transform_is_named(entry: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_transforms([entry], Path())
