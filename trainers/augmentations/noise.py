"""Gaussian noise."""

import math

from monai.transforms import RandGaussianNoise

from trainers.augmentations import Augmentation, _checks, register


@register("noise")
def noise(*, image_shape: tuple[int, ...], std: float = 0.1, prob: float = 1.0) -> Augmentation:
    """Add white noise; its standard deviation, in units of the prepared image, is drawn from [0, std]."""
    _checks.require_within("noise", 0, 1, prob=prob)
    _checks.require_within("noise", 0, math.inf, std=std)
    return RandGaussianNoise(prob=prob, std=std)
