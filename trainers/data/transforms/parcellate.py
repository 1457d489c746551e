"""From a series of volumes to a series of regions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import read
from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.stamp import Stamp, stamp
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_affine, require_dims, require_volume
from contrasweep.trainers.data.transforms.base import Example, Transform

SHOWN = 5
MOST = 2**24
"""The largest label; above it, float32 takes several for one."""


@register("Parcellate")
@dataclass(frozen=True, kw_only=True)
class Parcellate(Transform):
    """[T, X, Y, Z] to the mean series [R, T] of each region of `atlas`, by label; label 0 is no region.

    `atlas` is a volume of whole numbers in the same space as the images (of MNI152 both, say), on any grid: each
    voxel of the image belongs to the label that is nearest. Refused are images that miss a region, or where it has no
    signal. SupReMix, B.1.2, takes the 400 regions of Schaefer's atlas.
    """

    example = Example("volume", (3, 4), {"atlas": "atlas.nii.gz"})

    path_arguments = ("atlas",)

    atlas: Path

    def __post_init__(self) -> None:
        require_volume("atlas", self.atlas)

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [T, X, Y, Z] with an affine and more than one volume."""
        require_dims("Parcellate", image, "series of volumes", 3)
        affine = require_affine("Parcellate", image)
        if len(image.values) < 2:
            raise UnreadableError(f"Parcellate takes series of volumes; this image is {list(image.values.shape)}")
        atlas, known = _atlas(self.atlas, stamp(self.atlas))
        labels = _labels(image.values.shape[1:], affine, atlas)
        self._refuse("lies outside the image", known, ~np.isin(known, labels))
        inside = np.flatnonzero(labels)
        inside = inside[np.argsort(labels.flat[inside], kind="stable")]
        _, starts, counts = np.unique(labels.flat[inside], return_index=True, return_counts=True)
        voxels = image.values.reshape(len(image.values), -1)[:, inside].astype(np.float64)
        series = (np.add.reduceat(voxels, starts, axis=1) / counts).T
        self._refuse("has no signal", known, np.ptp(series, axis=1) == 0)
        return replace(image, values=series, affine=None)

    def _refuse(self, what: str, known: NDArray[Any], bad: NDArray[np.bool_]) -> None:
        if bad.any():
            listed = ", ".join(str(label) for label in known[bad][:SHOWN])
            more = f" and {bad.sum() - SHOWN} more" if bad.sum() > SHOWN else ""
            raise UnreadableError(f"Parcellate: region {listed}{more} of {self.atlas.name} {what}")


@lru_cache(maxsize=2)
def _atlas(path: Path, unchanged: Stamp) -> tuple[Image, NDArray[np.int64]]:
    """The atlas, and its labels but 0 in ascending order."""
    atlas = read(path)
    labels = np.unique(atlas.values)
    if (labels != labels.round()).any() or labels.min() < 0 or labels.max() > MOST:
        raise UnreadableError(f"Parcellate: {path.name} is no atlas: its labels are no whole numbers from 0 to {MOST}")
    return atlas, labels[labels > 0].astype(np.int64)


def _labels(shape: tuple[int, ...], affine: NDArray[np.float64], atlas: Image) -> NDArray[np.int64]:
    """The atlas's labels on a grid [X, Y, Z], by the nearest voxel; 0 outside the atlas."""
    assert atlas.affine is not None, "checked when the transform was built"
    to_atlas = np.linalg.inv(atlas.affine) @ affine
    places = np.rint(np.tensordot(to_atlas[:3, :3], np.indices(shape), 1) + to_atlas[:3, 3, None, None, None])
    sides = np.array(atlas.values.shape[1:])[:, None, None, None]
    inside = ((places >= 0) & (places < sides)).all(axis=0)
    labels = np.zeros(shape, dtype=np.int64)
    labels[inside] = atlas.values[0][tuple(places[:, inside].astype(int))]
    return labels
