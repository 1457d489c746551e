"""Cutout: one box of the image is set to zero."""

from monai.transforms import RandCoarseDropout

from trainers.augmentations import Augmentation, _checks, register


@register("cutout")
def cutout(*, image_shape: tuple[int, ...], size: float = 0.4, prob: float = 1.0) -> Augmentation:
    """Blank a box of `size` times each side at a random place (DynLocRep, Fig. 4c: the best augmentation)."""
    _checks.require_within("cutout", 0, 1, size=size, prob=prob)
    box = [max(1, round(size * side)) for side in image_shape[1:]]
    return RandCoarseDropout(holes=1, spatial_size=box, fill_value=0.0, prob=prob)
