"""Intensity: what colour jitter leaves of images without colour."""

import math

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.parameters import NotNegative, Probability


@register("intensity")
class Intensity:
    """Change gamma and contrast, multiply by 1 + U(-`scale`, `scale`), then add U(-`shift`, `shift`).

    `contrast` multiplies the distance from the image's own mean by 1 + U(-`contrast`, `contrast`). `gamma` raises the
    image, rescaled to its own range, to a power from 1 / (1 + `gamma`) to 1 + `gamma`, log-uniform. `shift` is in units
    of the prepared image. SupReMix adjusts brightness and contrast of radiographs (B.1.3) and distorts the colour of
    volumes (section 4.2), with no numbers; on standardised images `shift` is brightness and `scale` contrast.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        scale: Probability = 0.1,
        shift: NotNegative = 0.1,
        contrast: Probability = 0.0,
        gamma: NotNegative = 0.0,
        prob: Probability = 1.0,
    ) -> None:
        self.prob = prob
        self._limits = np.array([scale, shift, contrast, math.log1p(gamma)])

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """By how much scale and contrast differ from 1, the shift, and the logarithm of the power."""
        return rng.uniform(-self._limits, self._limits)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each with its gamma, contrast, scale and shift."""
        each = [-1, *[1] * (images.ndim - 1)]
        scale, shift, contrast, log_power = (
            torch.as_tensor(column, dtype=images.dtype, device=images.device).view(each) for column in draws.T
        )
        if self._limits[3]:
            images = _gamma(images, log_power.exp())
        gain = (1 + scale) * (1 + contrast)
        if self._limits[2]:
            shift = shift - (1 + scale) * contrast * images.flatten(1).mean(1).view(each)
        return torch.addcmul(shift, images, gain)


def _gamma(images: Tensor, power: Tensor) -> Tensor:
    """Images [n, C, *spatial] raised to `power` [n, 1, ...] between their own minimum and maximum."""
    over = tuple(range(1, images.ndim))
    low, high = images.amin(over, keepdim=True), images.amax(over, keepdim=True)
    span = (high - low).clamp_min(torch.finfo(images.dtype).tiny)
    return low + span * ((images - low) / span) ** power
