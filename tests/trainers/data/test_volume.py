from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainers.data.readers import UnreadableError
from trainers.data.volume import cast

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
