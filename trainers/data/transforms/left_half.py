"""The left half of a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from contrasweep.trainers.data.readers.base import Image
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform


@register("LeftHalf")
@dataclass(frozen=True, kw_only=True)
class LeftHalf(Transform):
    """The half of a picture [C, H, W] that is at the left as it is shown: its first W // 2 columns.

    SupReMix, section 4.1.3, gets the left hand of RHPE's radiographs of both so. `BoundingBox` comes before it
    where boxes count pixels of the whole picture.
    """

    example = Example("picture", (1, 24, 16))

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, H, W]."""
        require_dims("LeftHalf", image, "pictures", 2)
        half = image.values[..., : image.values.shape[-1] // 2].copy()
        return replace(image, values=half)
