"""Contrast-limited adaptive histogram equalisation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.parameters import Count, UpToOne


@register("CLAHE")
@dataclass(frozen=True, kw_only=True)
class CLAHE(Transform):
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994, scikit-image), each channel to 0 to 1.

    Histograms of `tiles` x `tiles` parts of the picture, none of whose 256 bins holds more than `clip_limit` of
    the part's pixels. SupReMix, B.1.3, treats the radiographs of RHPE so and gives no numbers; these are
    scikit-image's. Plain equalisation is MONAI's `HistogramNormalize: {min: 0, max: 1}`.
    """

    example = Example("picture", (1, 24, 32))

    clip_limit: UpToOne = 0.01
    tiles: Count = 8

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, H, W]."""
        require_dims("CLAHE", image, "pictures", 2)
        values = np.stack([self._equalised(channel) for channel in image.values])
        return replace(image, values=values)

    def _equalised(self, channel: NDArray[Any]) -> NDArray[Any]:
        from skimage.exposure import equalize_adapthist

        low, high = float(channel.min()), float(channel.max())
        if low == high:
            return np.zeros_like(channel)
        sides = [-(-side // self.tiles) for side in channel.shape]
        scaled = (channel.astype(np.float64) - low) / (high - low)
        equalised: NDArray[Any] = equalize_adapthist(scaled, kernel_size=sides, clip_limit=self.clip_limit)
        return equalised
