"""Rotation, translation and zoom together, interpolated once."""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import _checks, register
from contrasweep.trainers.augmentations._resampling import PLANES, resample, rotations
from contrasweep.trainers.parameters import Degrees, Probability, ZoomFactor


@register("affine")
class Affine:
    """Rotate by up to `degrees`, move by up to `shift` of each side, scale each side by up to `zoom`.

    Zeros come in from outside. `shift` alone is random cropping with padding (SupReMix B.1.3 has it for radiographs).
    Raises UserError where the images are series: they have no plane to rotate in.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        degrees: Degrees = 5.0,
        shift: Probability = 0.05,
        zoom: ZoomFactor = 0.05,
        prob: Probability = 1.0,
    ) -> None:
        _checks.require_dims("affine", image_shape, 2, 3)
        self.prob = prob
        self._sides = np.array(image_shape[1:])
        turns, dims = len(PLANES[len(self._sides)]), len(self._sides)
        self._limits = np.concatenate([[math.radians(degrees)] * turns, shift * self._sides, [zoom] * dims])

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """Angles in radians, a translation in voxels, and by how much each side's scale differs from 1."""
        return rng.uniform(-self._limits, self._limits)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each rotated, moved and scaled."""
        dims = len(self._sides)
        angles, shift, scale = draws[:, : -2 * dims], draws[:, -2 * dims : -dims], 1 + draws[:, -dims:]
        turn = rotations(angles)
        return resample(images, turn * scale[:, None], (turn @ shift[..., None])[..., 0])
