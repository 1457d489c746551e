"""Gaussian noise."""

from monai.transforms import RandGaussianNoise
from monai.transforms.transform import Randomizable

from trainers.augmentations import register


@register("noise")
def noise(*, image_shape: tuple[int, ...], std: float = 0.1, prob: float = 1.0) -> Randomizable:
    """Add white noise; its standard deviation, in units of the prepared image, is drawn from [0, std]."""
    return RandGaussianNoise(prob=prob, std=std)
