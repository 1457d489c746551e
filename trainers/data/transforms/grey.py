"""Luminance of colours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trainers.data.readers.base import Image, UnreadableError
from trainers.data.transforms import register
from trainers.data.transforms.base import Example, Transform

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@register("Grey")
@dataclass(frozen=True, kw_only=True)
class Grey(Transform):
    """[3, *S] in red, green and blue to luminance [1, *S], 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); grey stays grey.

    So that pictures in colour, with transparency (which readers drop) and in grey may be in one data set.
    """

    example = Example("picture", (1, 24, 32), also_takes=("video",))

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [1, *S] or [3, *S]."""
        if len(image.values) == 1:
            return image
        if len(image.values) != 3:
            raise UnreadableError(f"Grey takes one channel or three; this image is {list(image.values.shape)}")
        return replace(image, values=np.tensordot(_LUMINANCE, image.values, axes=1)[None])
