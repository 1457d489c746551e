"""Flips."""

from monai.transforms import RandAxisFlip, RandFlip

from trainers.augmentations import Augmentation, _checks, register
from trainers.errors import UserError


@register("flip")
def flip(*, image_shape: tuple[int, ...], axis: int | None = None, prob: float = 0.5) -> Augmentation:
    """Mirror along spatial `axis`, or along one drawn at random where it is None."""
    _checks.require_within("flip", 0, 1, prob=prob)
    axes = range(len(image_shape) - 1)
    if axis is not None and (type(axis) is not int or axis not in axes):
        raise UserError(f"augmentation 'flip': axis is {axis!r}; allowed: whole numbers from 0 to {axes[-1]}, or null")
    return RandAxisFlip(prob=prob) if axis is None else RandFlip(prob=prob, spatial_axis=axis)
