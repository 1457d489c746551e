"""Motion between the frames of a scan, undone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_affine, require_dims
from contrasweep.trainers.data.transforms._registration import rigid
from contrasweep.trainers.data.transforms._sitk import one_thread, to_array, to_sitk
from contrasweep.trainers.data.transforms.base import Example, Transform


@register("RealignFrames")
@dataclass(frozen=True, kw_only=True)
class RealignFrames(Transform):
    """Move every frame of a dynamic PET scan [T, X, Y, Z] rigidly (6 degrees of freedom) onto the first.

    SimpleITK's Mattes mutual information, as uptake changes between frames; linear interpolation, and where a moved
    frame has nothing, the nearest of its voxels. SupReMix, B.1.5, realigns frame to frame before it averages them.
    Each frame takes about a second; motion in the hundreds of frames of an fMRI series is MCFLIRT's work.
    """

    example = Example("volume", (4, 32, 32, 32))

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [T, X, Y, Z] with an affine; raises UnreadableError where registration fails."""
        require_dims("RealignFrames", image, "series of volumes", 3)
        affine = require_affine("RealignFrames", image)
        frames = [to_sitk(frame, affine) for frame in image.values]
        values = np.stack([image.values[0], *(_moved(frames[0], frame) for frame in frames[1:])])
        return replace(image, values=values)


def _moved(fixed: Any, frame: Any) -> NDArray[Any]:
    import SimpleITK as sitk

    transform = rigid(fixed, frame)
    with one_thread():
        resample = sitk.ResampleImageFilter()
        resample.SetReferenceImage(fixed)
        resample.SetTransform(transform)
        resample.UseNearestNeighborExtrapolatorOn()
        return to_array(resample.Execute(frame))
