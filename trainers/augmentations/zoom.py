"""Zoom."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.augmentations._resampling import resample
from contrasweep.trainers.parameters import Probability, ZoomFactor


@register("zoom")
class Zoom:
    """Magnify all sides alike, about the centre, by a factor from 1 - `zoom` to 1 + `zoom`; zeros come in from outside.

    SupReMix, section 4.2, names it for volumes and gives no factor.
    """

    def __init__(self, *, image_shape: tuple[int, ...], zoom: ZoomFactor = 0.1, prob: Probability = 1.0) -> None:
        self.prob = prob
        self._zoom = zoom

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The factor."""
        return rng.uniform(1 - self._zoom, 1 + self._zoom, 1)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each magnified by its factor."""
        return resample(images, np.eye(images.ndim - 2) / draws[..., None])
