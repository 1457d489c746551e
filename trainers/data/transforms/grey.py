"""Luminance of colours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms.base import Example, Transform

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@register("Grey")
@dataclass(frozen=True, kw_only=True)
class Grey(Transform):
    """[3, *S] in red, green and blue to luminance [1, *S], 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); grey stays grey.

    So that pictures in colour, with transparency (which readers drop, and arrays [4, H, W] have last) and in grey may
    be in one data set. What is grey in three equal colours becomes equal to the bit to what is grey in one.
    """

    example = Example("picture", (1, 24, 32), also_takes=("video",))

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [1, *S], [3, *S] or [4, H, W]."""
        if len(image.values) == 1:
            return image
        if len(image.values) != 3 and (len(image.values), image.values.ndim) != (4, 3):  # four volumes are no colours
            raise UnreadableError(f"Grey takes one channel, RGB or RGBA; this image is {list(image.values.shape)}")
        red = image.values[:1]  # weights that are rounded do not add up to 1; differences from red do not mind
        return replace(image, values=red + np.tensordot(_LUMINANCE, image.values[:3] - red, axes=1)[None])
