"""Global signal regression."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform


@register("GlobalSignalRegression")
@dataclass(frozen=True, kw_only=True)
class GlobalSignalRegression(Transform):
    """Regress the mean over all regions out of each region's series [R, T], with an intercept; residuals remain.

    SupReMix, B.1.2, follows Li et al. (2019), who take the mean over the grey matter's voxels; of a parcellated
    series this is the mean over regions, each counting alike.
    """

    example = Example("series", (6, 80))

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [R, T] with at least two regions."""
        require_dims("GlobalSignalRegression", image, "series [R, T]", 1)
        if len(image.values) < 2:
            raise UnreadableError("GlobalSignalRegression takes two regions or more; nothing of one would remain")
        series = image.values.astype(np.float64)
        series = series - series.mean(axis=1, keepdims=True)
        signal = series.mean(axis=0)
        power = signal @ signal
        slopes = series @ signal / power if power > 0 else np.zeros(len(series))
        return replace(image, values=series - slopes[:, None] * signal)
