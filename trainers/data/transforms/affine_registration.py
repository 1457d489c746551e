"""Affine registration to a template of the user's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contrasweep.trainers.data.readers import read
from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.stamp import Stamp, stamp
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_affine, require_dims, require_volume
from contrasweep.trainers.data.transforms._dust import without_dust
from contrasweep.trainers.data.transforms._registration import affine
from contrasweep.trainers.data.transforms._sitk import one_thread, to_array, to_sitk
from contrasweep.trainers.data.transforms.base import Example, Transform

Spacing: TypeAlias = Annotated[float, Field(gt=0, le=100)]


@register("AffineRegistration")
@dataclass(frozen=True, kw_only=True)
class AffineRegistration(Transform):
    """Register to `template`, 12 degrees of freedom, and resample to its grid, or to one of `spacing_mm` on its box.

    SimpleITK's Mattes mutual information, so that template and image may differ in contrast; linear interpolation,
    zero outside. One registration serves all channels: that of their mean. Give the template the same treatment as
    the images: without skull where they are. DynLocRep, 4.1, registers to MNI152 at 2 mm with ANTs; SupReMix, B.1.1,
    with FSL FLIRT: other optimisers of the same 12 numbers.
    """

    example = Example("volume", (4, 30, 30, 30), {"template": "template.nii.gz", "spacing_mm": 6})

    path_arguments = ("template",)

    template: Path
    spacing_mm: Spacing | None = None

    def __post_init__(self) -> None:
        require_volume("template", self.template)

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [C, X, Y, Z] with an affine; raises UnreadableError where registration fails."""
        import SimpleITK as sitk

        require_dims("AffineRegistration", image, "volumes", 3)
        placed = require_affine("AffineRegistration", image)
        template, grid = _template(self.template, stamp(self.template), self.spacing_mm)
        fixed = to_sitk(template, grid)
        mean = image.values.mean(axis=0)
        if mean.min() == mean.max():
            raise UnreadableError(f"AffineRegistration: the image has no contrast: every voxel is {mean.flat[0]:g}")
        transform = affine(fixed, to_sitk(mean, placed))
        with one_thread():
            moved = [sitk.Resample(to_sitk(channel, placed), fixed, transform) for channel in image.values]
        values = without_dust(np.stack([to_array(one) for one in moved]))
        return replace(image, values=values, affine=grid)


@lru_cache(maxsize=2)
def _template(path: Path, unchanged: Stamp, spacing_mm: float | None) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The template's values [X, Y, Z] and affine, at another spacing where one is given."""
    template = read(path)
    assert template.affine is not None, "checked when the transform was built"
    if spacing_mm is None:
        return template.values[0], template.affine
    from scipy.ndimage import affine_transform

    steps = spacing_mm / np.linalg.norm(template.affine[:3, :3], axis=0)
    sides = np.array(template.values.shape[1:])
    shape = np.ceil(sides / steps).astype(int)
    first = (sides - 1 - (shape - 1) * steps) / 2
    values = affine_transform(template.values[0], steps, first, tuple(shape), order=1, mode="nearest")
    change = np.diag([*steps, 1.0])
    change[:3, 3] = first
    return values, template.affine @ change
