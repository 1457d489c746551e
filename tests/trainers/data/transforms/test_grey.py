import numpy as np
import pytest

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms.grey import Grey


@pytest.mark.parametrize(("colour", "luminance"), [((255, 255, 255), 255), ((100, 0, 0), 29.9), ((0, 200, 50), 123.1)])
def test_colours_become_their_luminance(colour: tuple[int, int, int], luminance: float) -> None:
    values = np.broadcast_to(np.array(colour, dtype=np.float32)[:, None, None], (3, 4, 5))
    grey = Grey()(Image(values=values), {}).values
    assert grey.shape == (1, 4, 5)
    np.testing.assert_allclose(grey, luminance, rtol=1e-5)


def test_grey_in_three_colours_and_transparency_is_grey_in_one_to_the_bit() -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (1, 40, 30)).astype(np.float32)
    rgba = np.concatenate([grey, grey, grey, np.full_like(grey, 255)])
    for values in (rgba, rgba[:3]):
        np.testing.assert_array_equal(Grey()(Image(values=values), {}).values, grey)


@pytest.mark.parametrize("shape", [(2, 4, 5), (4, 3, 4, 5), (5, 4, 5)])
def test_what_is_no_colour_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnreadableError, match="Grey takes one channel, RGB or RGBA; this image is"):
        Grey()(Image(values=np.ones(shape, dtype=np.float32)), {})


def test_grey_stays_as_it_is() -> None:
    image = Image(values=np.arange(20, dtype=np.float32).reshape(1, 4, 5))
    assert Grey()(image, {}) is image
