"""Images resampled through affine maps, all rows at once, linear between the voxels.

A map takes a place x in the new image to the place `matrix x + shift` in the old one. Places are in voxels from
the image's centre, so that a rotation is rigid whatever the sides.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Numbers = NDArray[np.float64]

PLANES = {2: ((0, 1),), 3: ((1, 2), (2, 0), (0, 1))}
"""By the number of spatial dimensions: the planes that images turn in, one after the other."""


def rotations(angles: Numbers) -> Numbers:
    """Rotation matrices, from angles in radians: [n, 2, 2] from [n, 1], [n, 3, 3] from [n, 3] about axes 0, 1, 2."""
    dims = 2 if angles.shape[1] == 1 else 3
    matrices = np.tile(np.eye(dims), (len(angles), 1, 1))
    for angle, (a, b) in zip(angles.T, PLANES[dims], strict=True):
        turn = np.tile(np.eye(dims), (len(angles), 1, 1))
        turn[:, a, a] = turn[:, b, b] = np.cos(angle)
        turn[:, b, a] = np.sin(angle)
        turn[:, a, b] = -np.sin(angle)
        matrices = matrices @ turn
    return matrices


def resample(images: Tensor, matrix: Numbers, shift: Numbers | None = None) -> Tensor:
    """Images [n, C, *spatial] through the maps `matrix` [n, d, d] and `shift` [n, d] of their rows; zeros come in."""
    shift = np.zeros(matrix.shape[:2]) if shift is None else shift
    if images.ndim == 3:  # a series is sampled as an image that is one voxel high
        matrix, shift = np.pad(matrix, ((0, 0), (1, 0), (1, 0))), np.pad(shift, ((0, 0), (1, 0)))
        return resample(images.unsqueeze(2), matrix, shift).squeeze(2)
    return F.grid_sample(images, _grid(images, matrix, shift), align_corners=False)


def _grid(images: Tensor, matrix: Numbers, shift: Numbers) -> Tensor:
    """The grid [n, *spatial, d] that `grid_sample` reads: from -1 to 1 along each side, the last axis first.

    `affine_grid` makes the same from a matrix product: it takes 3 to 8 times as long on a CPU, and on a GPU that
    is allowed TF32 it rounds the places to a thousandth of the image.
    """
    sides = images.shape[2:]
    device, dims, per_voxel = images.device, len(sides), 2 / np.array(sides)
    axes = [
        (torch.arange(side, device=device) - (side - 1) / 2).view(-1, *[1] * (dims - 1 - axis))
        for axis, side in enumerate(sides)
    ]
    scaled = np.concatenate([matrix * per_voxel[:, None], (shift * per_voxel)[..., None]], axis=2)
    maps = torch.as_tensor(scaled, dtype=torch.float32, device=device).view(*scaled.shape, *[1] * dims)
    places = [
        sum((maps[:, to, axis] * along for axis, along in enumerate(axes)), start=maps[:, to, dims])
        for to in reversed(range(dims))
    ]
    return torch.stack(places, dim=-1)
