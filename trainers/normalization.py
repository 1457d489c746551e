"""z-normalisation of images, channel by channel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes a second to import, and preparing scans does without
    from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """`mean` [C] and `std` [C] over all voxels of the training split."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: "Tensor") -> "Tensor":
        """Images [N, C, *S] float32, normalised."""
        shape = (1, -1, *[1] * (images.ndim - 2))
        mean, std = images.new_tensor(self.mean), images.new_tensor(self.std)
        return (images - mean.view(shape)) / std.view(shape)
