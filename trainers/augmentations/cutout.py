"""Cutout: one box of the image is set to zero."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.parameters import Probability


@register("cutout")
class Cutout:
    """Blank a box of `size` times each side at a random place inside the image.

    DynLocRep, Fig. 4c: the best of four augmentations (MAE 3.667 years; the size of the box is not given).
    """

    def __init__(self, *, image_shape: tuple[int, ...], size: Probability = 0.4, prob: Probability = 1.0) -> None:
        self.prob = prob
        self._box = [round(size * side) for side in image_shape[1:]]
        self._starts = [side - box + 1 for side, box in zip(image_shape[1:], self._box, strict=True)]

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The voxel where the box begins."""
        return rng.integers(self._starts).astype(np.float64)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each with its box blanked."""
        blanked = images.clone()
        for image, start in zip(blanked, draws.astype(int), strict=True):
            box = [slice(low, low + side) for low, side in zip(start, self._box, strict=True)]
            image[(..., *box)] = 0
        return blanked
