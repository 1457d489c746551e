"""Intensity: brightness and contrast."""

import math

from monai.transforms import Compose, RandScaleIntensity, RandShiftIntensity

from trainers.augmentations import Augmentation, _checks, register


@register("intensity")
def intensity(
    *, image_shape: tuple[int, ...], scale: float = 0.1, shift: float = 0.1, prob: float = 1.0
) -> Augmentation:
    """Multiply by 1 + U(-scale, scale), then add U(-shift, shift), in units of the prepared image."""
    _checks.require_within("intensity", 0, 1, scale=scale, prob=prob)
    _checks.require_within("intensity", 0, math.inf, shift=shift)
    return Compose([RandScaleIntensity(factors=scale, prob=prob), RandShiftIntensity(offsets=shift, prob=prob)])
