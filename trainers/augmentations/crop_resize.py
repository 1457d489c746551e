"""Crop and resize: a part of the image, brought back to the image's shape."""

import math

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from contrasweep.trainers.augmentations import register
from contrasweep.trainers.parameters import NotNegative, Probability

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@register("crop_resize")
class CropResize:
    """Cut out a box of random area, aspect and place, and resize it to the image's shape.

    The box has from `area` to all of the image's area (volume, length); one of its axes, drawn at random, is
    stretched against the others by a factor from 1 / (1 + `stretch`) to 1 + `stretch`, log-uniform and relative to
    the image's own aspect. A side that would leave the image is as long as the image.
    The defaults are SimCLR's random crop, which SupReMix (section 4.2) takes for radiographs: 0.08, and 3/4 to 4/3.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        area: Probability = 0.08,
        stretch: NotNegative = 1 / 3,
        prob: Probability = 1.0,
    ) -> None:
        self.prob = prob
        self._sides = np.array(image_shape[1:])
        self._area = area
        self._log_stretch = math.log1p(stretch)

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The voxel where the box begins [d], and its sides in voxels [d]."""
        dims = len(self._sides)
        stretched = np.full(dims, -1 / dims)
        stretched[rng.integers(dims)] += 1
        log_stretch = rng.uniform(-self._log_stretch, self._log_stretch)
        shares = rng.uniform(self._area, 1) ** (1 / dims) * np.exp(log_stretch * stretched)
        box = (shares * self._sides).round().clip(1, self._sides)
        return np.concatenate([rng.integers(self._sides - box.astype(int) + 1), box])

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """The boxes of images [n, C, *spatial], each resized to the image's shape, linear between the voxels."""
        size, mode = list(images.shape[2:]), MODES[images.ndim - 2]
        corners = [zip(*np.split(row.astype(int), 2), strict=True) for row in draws]
        boxes = [(..., *[slice(low, low + side) for low, side in corner]) for corner in corners]
        resized = [F.interpolate(image[None][box], size, mode=mode) for image, box in zip(images, boxes, strict=True)]
        return torch.cat(resized)
