"""Views that a picture shows side by side, as channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.parameters import Count


@register("SideBySide")
@dataclass(frozen=True, kw_only=True)
class SideBySide(Transform):
    """The views of a picture [1, H, W] that lie beside each other in `widths` of columns, as channels [K, H, widest].

    Each is put in the middle between columns of the picture's least value. An axial, a sagittal and a coronal slice in
    one picture are so seen one behind the other, as a network reads channels.
    """

    widths: Annotated[Sequence[Count], Field(min_length=2)]

    example = Example("picture", (3, 24, 12), {"widths": [10, 12, 10]})

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [1, H, W]. Raises UnreadableError where the widths do not add up to W."""
        require_dims("SideBySide", image, "pictures", 2)
        channels, height, width = image.values.shape
        if channels != 1 or width != sum(self.widths):
            raise UnreadableError(
                f"SideBySide: a picture of {channels} x {height} x {width} is not one channel of widths that add up "
                f"to {sum(self.widths)}"
            )
        widest = max(self.widths)
        views = np.full((len(self.widths), height, widest), image.values.min(), dtype=image.values.dtype)
        ends = np.cumsum(self.widths)
        for view, end, own in zip(views, ends, self.widths, strict=True):
            left = (widest - own) // 2
            view[:, left : left + own] = image.values[0, :, end - own : end]
        return replace(image, values=views, affine=None)
