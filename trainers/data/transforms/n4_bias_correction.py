"""N4 bias field correction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms._sitk import one_thread, shrinks, to_array, to_sitk
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.parameters import Count


@register("N4BiasCorrection")
@dataclass(frozen=True, kw_only=True)
class N4BiasCorrection(Transform):
    """Divide by the smooth field that N4 (Tustison 2010, SimpleITK) finds, channel by channel; zero stays zero.

    The field is fitted where `mask` says, `otsu` (the brighter of two classes) or `nonzero` (for images without
    skull), on every `shrink`-th voxel, in `levels` times at most `iterations` steps, and divided out at full size.
    SupReMix, B.1.1, and DynLocRep, 4.1, correct brains so, after skull stripping; neither gives numbers.
    """

    example = Example("volume", (4, 32, 32, 32), {"iterations": 5, "levels": 2}, also_takes=("picture", "video"))

    mask: Literal["nonzero", "otsu"] = "otsu"
    shrink: Count = 4
    levels: Count = 4
    iterations: Count = 50

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, H, W] and [C, X, Y, Z] without negative values."""
        require_dims("N4BiasCorrection", image, "pictures and volumes", 2, 3)
        if image.values.min() < 0:
            raise UnreadableError(f"N4BiasCorrection takes values from 0; this image has {image.values.min():g}")
        corrected = np.stack([self._corrected(channel) for channel in image.values])
        return replace(image, values=corrected)

    def _corrected(self, channel: NDArray[Any]) -> NDArray[np.float32]:
        import SimpleITK as sitk

        with one_thread():
            full = to_sitk(channel)
            mask = sitk.OtsuThreshold(full, 0, 1, 200) if self.mask == "otsu" else full > 0
            factors = shrinks(channel.shape, self.shrink)
            n4 = sitk.N4BiasFieldCorrectionImageFilter()
            n4.SetMaximumNumberOfIterations([self.iterations] * self.levels)
            n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
            field = np.exp(to_array(n4.GetLogBiasFieldAsImage(full)))
        return np.asarray(channel / field, dtype=np.float32)
