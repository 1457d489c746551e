"""Where in a scan a model's prediction comes from, as a map on the prepared image, and in the scan's own space."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, zoom
from torch import Tensor

from contrasweep.trainers.data.readers import Form, read_header
from contrasweep.trainers.served.folded import Folded

FloatArray = NDArray[np.float32]
Kind = Callable[[Folded, Tensor, Tensor | None], Tensor]
"""A folded model, a prepared image [1, C, *S] float32, and the covariates [1, K] it reads -> a map [*S]."""

_CELLS = 8
"""Along each axis."""


def gradient(model: Folded, image: Tensor, covariates: Tensor | None) -> Tensor:
    """The size of the prediction's derivative by each voxel, summed over channels (Simonyan et al. 2014): what a small
    change there would do, in the label's unit per unit of the prepared image.
    """
    image = image.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(model(image, covariates).sum(), image)
    return derivative.abs().sum(dim=(0, 1))


@torch.no_grad()
def occlusion(model: Folded, image: Tensor, covariates: Tensor | None) -> Tensor:
    """How far the prediction falls where one of 8 cells along each axis is hidden (Zeiler and Fergus 2014), in the
    label's unit, linear in between: above 0 where what is there raises it. Hidden voxels get their channel's least.
    """
    space = image.shape[2:]
    ends = [np.linspace(0, length, min(_CELLS, length) + 1).astype(int) for length in space]
    least, said = image.amin(dim=tuple(range(2, image.ndim)), keepdim=True), model(image, covariates)
    effects = np.zeros([len(of) - 1 for of in ends], dtype=np.float32)
    for cell in product(*(range(count) for count in effects.shape)):
        here = torch.ones_like(image, dtype=torch.bool)
        for axis, (of, place) in enumerate(zip(ends, cell, strict=True), start=2):
            inside = torch.zeros(image.shape[axis], dtype=torch.bool)
            inside[of[place] : of[place + 1]] = True
            here &= inside.view(-1, *[1] * (image.ndim - axis - 1))
        hidden = torch.where(here, least, image)
        effects[cell] = float(said - model(hidden, covariates))
    return torch.from_numpy(zoomed(effects, tuple(space)))


KINDS: Mapping[str, Kind] = MappingProxyType({"gradient": gradient, "occlusion": occlusion})


def in_own_space(
    salient: FloatArray, affine: NDArray[np.float64] | None, path: Path, form: Form | None
) -> nib.Nifti1Image:
    """A map [*S] of an image that was prepared from `path`, and then had `affine`, on the grid of that file.

    Linear in between, 0 outside. Where the format tells no place, it is stretched over the file's grid; where that has
    another number of axes, the map stays on the prepared image's.
    """
    header = read_header(path, form)
    space = header.shape[1:]
    if len(space) != salient.ndim:
        moved, placed = salient, affine
    elif affine is not None and header.affine is not None and salient.ndim == 3:
        to_map, placed = np.linalg.inv(affine) @ header.affine, header.affine
        moved = affine_transform(salient, to_map[:3, :3], to_map[:3, 3], output_shape=space, order=1)
    else:
        moved, placed = zoomed(salient, space), header.affine
    return nib.Nifti1Image(
        moved.reshape(*moved.shape, *[1] * (3 - moved.ndim)).astype(np.float32), np.eye(4) if placed is None else placed
    )


def zoomed(values: FloatArray, space: tuple[int, ...]) -> FloatArray:
    """Values on another grid over the same extent, linear in between."""
    factors = [new / old for new, old in zip(space, values.shape, strict=True)]
    return np.asarray(zoom(values, factors, order=1, mode="nearest", grid_mode=True), dtype=np.float32)
