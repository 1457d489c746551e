"""Rotation."""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import _checks, register
from contrasweep.trainers.augmentations._resampling import PLANES, resample, rotations
from contrasweep.trainers.parameters import Degrees, Probability


@register("rotation")
class Rotation:
    """Rotate about the image's centre by up to `degrees` either way, volumes about each of their axes; zeros come in.

    SupReMix, B.1.3: 10 degrees for radiographs. DynLocRep, Fig. 4c: the worst of four on registered brains
    (MAE 5.431 years; the angle is not given).
    Raises UserError where the images are series: they have no plane to rotate in.
    """

    def __init__(self, *, image_shape: tuple[int, ...], degrees: Degrees = 10.0, prob: Probability = 1.0) -> None:
        _checks.require_dims("rotation", image_shape, 2, 3)
        self.prob = prob
        self._limit = math.radians(degrees)
        self._turns = len(PLANES[len(image_shape) - 1])

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """Angles in radians: one, or one for each axis of a volume."""
        return rng.uniform(-self._limit, self._limit, self._turns)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each rotated by its angles."""
        return resample(images, rotations(draws))
