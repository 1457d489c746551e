"""Gaussian noise."""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.parameters import NotNegative, Probability


@register("noise")
class Noise:
    """Add white noise; its standard deviation, in units of the prepared image, is drawn from [0, `std`].

    DynLocRep, Fig. 4c: the second of four (MAE 3.956 years; the deviation is not given).
    """

    def __init__(self, *, image_shape: tuple[int, ...], std: NotNegative = 0.1, prob: Probability = 1.0) -> None:
        self.prob = prob
        self._std = std

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The standard deviation, and the seed of the noise."""
        return np.array([rng.uniform(0, self._std), rng.integers(2**53)])

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial] with the noise of their seeds, which another kind of device draws otherwise."""
        noise = torch.empty(images.shape, device=images.device)
        generator = torch.Generator(images.device)
        for row, (std, seed) in zip(noise, draws, strict=True):
            row.normal_(0, std, generator=generator.manual_seed(int(seed)))
        return noise.add_(images)
