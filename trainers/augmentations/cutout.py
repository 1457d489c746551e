"""Cutout: one box of the image is set to zero."""

from monai.transforms import RandCoarseDropout
from monai.transforms.transform import Randomizable

from trainers.augmentations import register


@register("cutout")
def cutout(*, image_shape: tuple[int, ...], size: float = 0.4, prob: float = 1.0) -> Randomizable:
    """Blank a box of `size` times each side at a random place (DynLocRep, Fig. 4c: the best augmentation)."""
    box = [max(1, round(size * side)) for side in image_shape[1:]]
    return RandCoarseDropout(holes=1, spatial_size=box, fill_value=0.0, prob=prob)
