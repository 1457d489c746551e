"""z-normalisation of images, channel by channel."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """`mean` [C] and `std` [C] over all voxels of the training split."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Images [N, C, *S] float32, normalised."""
        shape = (1, -1, *[1] * (images.ndim - 2))
        mean, std = (torch.tensor(of, dtype=images.dtype, device=images.device) for of in (self.mean, self.std))
        return (images - mean.view(shape)) / std.view(shape)
