"""Intensity: brightness and contrast."""

from monai.transforms import Compose, RandScaleIntensity, RandShiftIntensity
from monai.transforms.transform import Randomizable

from trainers.augmentations import register


@register("intensity")
def intensity(
    *, image_shape: tuple[int, ...], scale: float = 0.1, shift: float = 0.1, prob: float = 1.0
) -> Randomizable:
    """Multiply by 1 + U(-scale, scale), then add U(-shift, shift), in units of the prepared image."""
    return Compose([RandScaleIntensity(factors=scale, prob=prob), RandShiftIntensity(offsets=shift, prob=prob)])
