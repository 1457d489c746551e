import numpy as np
import pytest

from trainers.data.readers import Image
from trainers.data.transforms.grey import Grey


@pytest.mark.parametrize(("colour", "luminance"), [((255, 255, 255), 255), ((100, 0, 0), 29.9), ((0, 200, 50), 123.1)])
def test_colours_become_their_luminance(colour: tuple[int, int, int], luminance: float) -> None:
    values = np.broadcast_to(np.array(colour, dtype=np.float32)[:, None, None], (3, 4, 5))
    grey = Grey()(Image(values=values), {}).values
    assert grey.shape == (1, 4, 5)
    np.testing.assert_allclose(grey, luminance, rtol=1e-5)


def test_grey_stays_as_it_is() -> None:
    image = Image(values=np.arange(20, dtype=np.float32).reshape(1, 4, 5))
    assert Grey()(image, {}) is image
