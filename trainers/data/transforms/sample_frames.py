"""The same number of frames from every video."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.parameters import Count


@register("SampleFrames")
@dataclass(frozen=True, kw_only=True)
class SampleFrames(Transform):
    """`count` frames of a video [C, T, H, W], from the first to the last at even steps, or a clip from its middle.

    Without `period`, a video of any length is taken in whole, and frames repeat where it is shorter than `count`;
    SupReMix, B.1.4, resamples whole cardiac cycles to one length. With `period`, every `period`-th frame of a clip from
    the middle, so that time runs equally fast in all videos of one frame rate (it is not looked at): EchoNet-Dynamic
    (Ouyang 2020) takes 32 frames, each second one. A video that is too short for such a clip is refused, as no frames
    are made up.
    """

    example = Example("video", (1, 8, 24, 32), {"count": 8})

    count: Count = 32
    period: Count | None = None

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, T, H, W] without an affine, by which volumes are told apart."""
        require_dims("SampleFrames", image, "videos [C, T, H, W]", 3)
        if image.affine is not None:
            raise UnreadableError("SampleFrames takes videos; this image has an affine, as volumes do")
        return Image(values=image.values[:, self._chosen(image.values.shape[1])], orientation=image.orientation)

    def _chosen(self, length: int) -> NDArray[np.int64]:
        """Numbers [count] of frames, in order."""
        if self.period is None:
            return np.linspace(0, length - 1, self.count).round().astype(np.int64)
        spanned = (self.count - 1) * self.period + 1
        if spanned > length:
            raise UnreadableError(
                f"SampleFrames: {self.count} frames with period {self.period} span {spanned}; this video has {length}"
            )
        return (length - spanned) // 2 + self.period * np.arange(self.count)
