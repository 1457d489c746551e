"""Rotation, translation and zoom together, interpolated once."""

import math

from monai.transforms import RandAffine
from monai.transforms.transform import Randomizable

from trainers.augmentations import register


@register("affine")
def affine(
    *,
    image_shape: tuple[int, ...],
    degrees: float = 5.0,
    shift: float = 0.05,
    zoom: float = 0.05,
    prob: float = 1.0,
) -> Randomizable:
    """Rotate by up to `degrees`, move by up to `shift` of each side, scale by up to `zoom`; zeros come in from outside."""
    spatial = image_shape[1:]
    turns = 1 if len(spatial) == 2 else 3
    return RandAffine(
        prob=prob,
        rotate_range=[math.radians(degrees)] * turns,
        translate_range=[shift * side for side in spatial],
        scale_range=[zoom] * len(spatial),
        padding_mode="zeros",
    )
