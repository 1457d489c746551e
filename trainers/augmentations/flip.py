"""Flips."""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.parameters import Probability, Whole


@register("flip")
class Flip:
    """Mirror along spatial `axis`, or along one drawn at random where it is None.

    SupReMix flips radiographs left to right (B.1.3). DynLocRep, Fig. 4c: the third of four (MAE 4.238 years; the
    axis is not given).
    """

    def __init__(self, *, image_shape: tuple[int, ...], axis: Whole | None = None, prob: Probability = 0.5) -> None:
        axes = range(len(image_shape) - 1)
        if axis is not None and axis not in axes:
            allowed = f"whole numbers from 0 to {axes[-1]}, or null"
            raise UserError(f"augmentation 'flip': axis is {axis!r}; allowed: {allowed}")
        self.prob = prob
        self._axes = list(axes) if axis is None else [axis]

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The axis."""
        return rng.choice(self._axes, 1).astype(np.float64)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Images [n, C, *spatial], each mirrored along its axis."""
        return torch.stack([image.flip(int(axis) + 1) for image, axis in zip(images, draws[:, 0], strict=True)])
