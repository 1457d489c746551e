"""MONAI's transforms by name."""

import inspect
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms._dust import without_dust
from contrasweep.trainers.data.transforms.base import Transform
from contrasweep.trainers.errors import UserError, nearest

_WRAPPERS = frozenset({"CuCIM", "Lambda", "TorchIO", "TorchVision"})  # call code that we cannot vouch for
_IDLE = frozenset({"SimulateDelay"})  # waits as long as it is told
_PLACED = frozenset({"Orientation", "ResampleToMatch", "Spacing", "SpatialResample"})  # go by the affine


class MonaiTransform(Transform):
    """One of MONAI's array transforms; it sees the affine where it moves voxels, and the affine follows."""

    def __init__(self, name: str, transform: Any) -> None:
        from monai.transforms.traits import LazyTrait

        self._called, self._transform = name, transform
        self._moves = isinstance(transform, LazyTrait)

    @property
    def name(self) -> str:
        """MONAI's name for it."""
        return self._called

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Raises UnreadableError where voxel sizes are needed and the format tells none."""
        if image.affine is None and self._called in _PLACED:
            raise UnreadableError(f"{self._called} needs voxel sizes, which this format does not tell")
        if image.affine is None or not self._moves:
            values = np.asarray(self._transform(image.values))
            values = without_dust(values) if self._moves else values
            kept = values.shape[1:] == image.values.shape[1:] and self._called != "Transpose"
            return replace(image, values=values, affine=image.affine if kept else None)
        import torch
        from monai.data.meta_tensor import MetaTensor

        moved = self._transform(MetaTensor(image.values, affine=torch.as_tensor(image.affine)))
        affine = np.asarray(moved.affine, dtype=np.float64)
        return replace(image, values=without_dust(moved.numpy()), affine=affine)


def build(where: str, name: str, arguments: Mapping[str, Any], own: Collection[str]) -> MonaiTransform:
    """The transform called `name`. Raises UserError, in one line that starts with `where`."""
    known = allowed()
    if name not in known:
        if name.startswith("Rand"):
            raise UserError(f"{where}: '{name}' is random and would be drawn once; use training.augmentations")
        raise UserError(f"{where}: unknown transform '{name}'; {_closest(name, [*known, *own], own)}")
    accepted = set(inspect.signature(known[name]).parameters) - {"lazy"}  # the image would stay as it is
    for key in arguments:
        if key not in accepted:
            raise UserError(f"{where}: {name} has no argument '{key}'; {nearest(key, accepted)}")
    if "image_only" in accepted:  # or the image comes with its sampling grid
        arguments = {"image_only": True, **arguments}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of defaults that change in some later MONAI
            return MonaiTransform(name, known[name](**arguments))
    except Exception as error:  # MONAI raises nearly anything
        raise UserError(f"{where}: {name} refuses {dict(arguments)}: {' '.join(str(error).split())}") from error


def _closest(name: str, known: Collection[str], own: Collection[str]) -> str:
    """The hint without the list of MONAI's more than a hundred names."""
    hint = nearest(name, known).split("allowed:")[0]
    mine = f"{', '.join(sorted(own))}, and " if own else ""
    return f"{hint}allowed: {mine}the array transforms of monai.transforms that are not random"


@cache
def allowed() -> dict[str, Any]:
    """MONAI's deterministic array transforms by name, those that touch files left out."""
    import monai.transforms as catalogue  # seconds to import, and a spec without transforms does not need it
    from monai.transforms.transform import Randomizable
    from monai.transforms.transform import Transform as Base

    return {
        name: item
        for name, item in vars(catalogue).items()
        if inspect.isclass(item)
        and issubclass(item, Base)
        and not issubclass(item, Randomizable)
        and not name.startswith("Rand")
        and name not in _WRAPPERS | _IDLE
        and item.__module__.endswith(".array")
        and not item.__module__.startswith("monai.transforms.io")
    }
