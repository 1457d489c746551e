"""Flips."""

from monai.transforms import RandAxisFlip, RandFlip
from monai.transforms.transform import Randomizable

from trainers.augmentations import register


@register("flip")
def flip(*, image_shape: tuple[int, ...], axis: int | None = None, prob: float = 0.5) -> Randomizable:
    """Mirror along spatial `axis`, or along one drawn at random where it is None."""
    return RandAxisFlip(prob=prob) if axis is None else RandFlip(prob=prob, spatial_axis=axis)
