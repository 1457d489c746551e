"""How often labels near a given one are seen in training (Yang et al. 2021, Deep Imbalanced Regression)."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._kernels import Variant

Reweight: TypeAlias = Literal["sqrt_inverse", "inverse"]

_LEAST, _MOST = 5.0, 1000.0
"""What counts are clipped to before they are inverted, as the authors' code does."""
_CUT = 4.0
"""Of how many deviations the authors' filter cuts a Gaussian off."""


def kernel_of(kernel_size: int, sigma: float, variant: Variant) -> dict[int, float]:
    """Weights of bins by how many bins they are away, up to `kernel_size` // 2; that of the bin itself is 1.

    `paper`: exp(-k^2 / 2 sigma^2). `reference`: the authors filter a spike in a window of `kernel_size`, at whose
    ends it is mirrored, so that its images a window away add to the weights.

    >>> [round(kernel_of(3, 1.0, variant)[1], 3) for variant in ("paper", "reference")]
    [0.607, 0.726]
    """
    reach, radius = kernel_size // 2, int(_CUT * sigma + 0.5)

    def weight(shift: int) -> float:
        images = range((shift + radius) % kernel_size - radius, radius + 1, kernel_size)
        return sum(math.exp(-(k / sigma) * (k / sigma) / 2) for k in ([shift] if variant == "paper" else images))

    return {shift: weight(shift) / weight(0) for shift in range(-reach, reach + 1)}


class LabelBins(nn.Module):
    """The M label bins floor(y / bin_size) that `labels` [n] fall into, and a Gaussian kernel over bins.

    `kernel` has a weight for each shift of at most `kernel_size` // 2 bins, as `kernel_of` makes it. Only bins with
    labels are kept, so that neither gaps nor the range of the labels cost anything. `bin_size` is in label units,
    `sigma` in bins.
    """

    occupied: Tensor
    counts: Tensor

    def __init__(
        self,
        labels: Sequence[float] | Tensor,
        *,
        bin_size: float,
        kernel_size: int,
        sigma: float,
        variant: Variant = "paper",
    ) -> None:
        super().__init__()
        self.bin_size, self.kernel = bin_size, kernel_of(kernel_size, sigma, variant)
        occupied, counts = label_bins(torch.as_tensor(labels, dtype=torch.float64), bin_size).unique(return_counts=True)
        self.register_buffer("occupied", occupied, persistent=False)
        self.register_buffer("counts", counts.double(), persistent=False)

    def places(self, y: Tensor) -> Tensor:
        """Where in `occupied` the bins of labels y [N] stand; of the next one up, or the last, for empty bins."""
        return self._find(label_bins(y, self.bin_size))

    def smooth(self, values: Tensor, empty: float = 0.0) -> Tensor:
        """sum_k kernel(k) values[bin + k] of each bin, [M, F] -> [M, F], with `empty` as the value of empty bins."""
        smoothed = torch.zeros_like(values)
        for shift, weight in self.kernel.items():
            places = self._find(self.occupied + shift)
            found = (self.occupied[places] == self.occupied + shift)[:, None]
            smoothed += weight * torch.where(found, values[places], empty)
        return smoothed

    def rarity(self, reweight: Reweight) -> Tensor:
        """Weight [M] of a label in each bin: one over the smoothed density, with mean 1 over the labels.

        `sqrt_inverse` smooths roots of counts; `inverse` smooths counts clipped to 5 to 1000, an empty bin's to 5.
        """
        if reweight == "inverse":
            density = self.smooth(self.counts.clamp(_LEAST, _MOST)[:, None], empty=_LEAST)
        else:
            density = self.smooth(self.counts.sqrt()[:, None])
        weights = 1 / density.squeeze(1)
        return weights * self.counts.sum() / (self.counts @ weights)

    def _find(self, bins: Tensor) -> Tensor:
        return torch.searchsorted(self.occupied, bins).clamp(max=len(self.occupied) - 1)
