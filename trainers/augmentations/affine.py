"""Rotation, translation and zoom together, interpolated once."""

import math

from monai.transforms import RandAffine

from trainers.augmentations import Augmentation, _checks, register
from trainers.errors import UserError


@register("affine")
def affine(
    *,
    image_shape: tuple[int, ...],
    degrees: float = 5.0,
    shift: float = 0.05,
    zoom: float = 0.05,
    prob: float = 1.0,
) -> Augmentation:
    """Rotate by up to `degrees`, move by up to `shift` of each side, scale by up to `zoom`; zeros come in from outside.

    Raises UserError where the images are series: they have no plane to rotate in.
    """
    spatial = image_shape[1:]
    if len(spatial) == 1:
        raise UserError("augmentation 'affine': the images have 1 spatial dimension; allowed: 2 or 3")
    _checks.require_within("affine", 0, 180, degrees=degrees)
    _checks.require_within("affine", 0, 1, shift=shift, prob=prob)
    _checks.require_within("affine", 0, 0.9, zoom=zoom)
    turns = 1 if len(spatial) == 2 else 3
    return RandAffine(
        prob=prob,
        rotate_range=[math.radians(degrees)] * turns,
        translate_range=[shift * side for side in spatial],
        scale_range=[zoom] * len(spatial),
        padding_mode="zeros",
    )
