"""Direct regression on features whose statistics vary smoothly with the label (Yang et al. 2021)."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._kernels import Variant
from contrasweep.trainers.losses._label_density import LabelBins
from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.vanilla import Vanilla
from contrasweep.trainers.parameters import BelowOne, OddCount, Positive, Several, Whole
from contrasweep.trainers.regression import Kind

_LEAST, _MOST = 0.1, 10.0
"""Bounds of the ratio of a smoothed variance to the bin's own, as the authors' code has them."""


@register("fds")
class FDS(Vanilla):
    """Feature distribution smoothing: `vanilla` on features z that are recoloured, bin by bin, to smoothed statistics:

        z' = (v'_b / v_b)^(1/2) (z - m_b) + m'_b,   m'_b = sum_b' k(b, b') m_b',   v'_b = sum_b' k(b, b') v_b'

    (Yang et al. 2021, Eq. 2-5), each feature apart as in the authors' code, and v'_b / v_b clipped to 0.1 to 10. m and
    v are moving averages over epochs, with `momentum`, of the mean and variance of features in label bin b; k is
    a Gaussian over `kernel_size` bins of `bin_size` label units, `sigma` in bins, that sums to 1 over the bins with
    data. A feature that does not vary in its bin stays as it is.

    Statistics of an epoch are of its batches as they were trained on, and serve from the next epoch on, at the
    earliest `start_smooth` (from 0). Only training smooths; `probe` reads plain features. Without `width` there are no
    features, and nothing is smoothed. `reweight` adds the weights of `lds` (LDS + FDS). `variant="reference"` is what
    the authors' public code computes: bins without data count as of mean 0 and variance 1, k is the kernel of `lds`
    there, and what is smoothed is an epoch older (`ReferenceStatistics`). Other parameters are those of `vanilla`.

    >>> import torch
    >>> loss = FDS(train_labels=[20.0, 50.0, 80.0], width=4)
    >>> loss(torch.zeros(3, 4), torch.tensor([20.0, 50.0, 80.0])).shape
    torch.Size([])
    """

    def __init__(
        self,
        *,
        bin_size: Positive = 1.0,
        kernel_size: OddCount = 5,
        sigma: Positive = 2.0,
        momentum: BelowOne = 0.9,
        start_smooth: Whole = 1,
        reweight: bool = False,
        variant: Variant = "paper",
        kind: Kind = "l1",
        bend: Positive = 1.0,
        bins: Several = 101,
        soft_bin: Positive = 1.0,
        soft_sd: Positive = 1.0,
        train_labels: Sequence[float] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(
            kind=kind,
            bend=bend,
            bins=bins,
            soft_bin=soft_bin,
            soft_sd=soft_sd,
            train_labels=train_labels,
            width=width,
        )
        self.momentum, self.start_smooth, self.reweight, self.variant = momentum, start_smooth, reweight, variant
        self.binning = partial(LabelBins, bin_size=bin_size, kernel_size=kernel_size, sigma=sigma, variant=variant)
        self.label_bins = None if train_labels is None else self.binning(train_labels)
        self.statistics: Statistics | None = None
        if width is not None and self.label_bins is not None:
            statistics = ReferenceStatistics if variant == "reference" else Statistics
            self.statistics = statistics(self.label_bins, width)

    def calibrated(self, rows: Rows) -> Tensor:
        if self.statistics is None or rows.epoch < self.start_smooth:
            return rows.z
        return self.statistics.recolour(rows.z, rows.y)

    def weights(self, y: Tensor) -> Tensor:
        if not self.reweight:
            return super().weights(y)
        label_bins = self.binning(y) if self.label_bins is None else self.label_bins
        return label_bins.rarity("sqrt_inverse")[label_bins.places(y)]

    def remember(self, rows: Rows) -> None:
        if self.statistics is not None:
            self.statistics.add(self.calibrated(rows) if self.variant == "reference" else rows.z, rows.y)

    def end_epoch(self, epoch: int) -> None:
        if self.statistics is not None:
            self.statistics.roll(self.momentum)


class Statistics(nn.Module):
    """Means and variances of features [F] in each of M label bins: of this epoch, over epochs, and smoothed.

    Buffers, float64: `count` [M, 1], `total` and `squares` [M, F] of this epoch; `seen` [M, 1], 1 for bins that
    have had data, and their `mean` and `variance` [M, F]; `scale` and `shift` [M, F] of the recolouring.
    """

    count: Tensor
    total: Tensor
    squares: Tensor
    seen: Tensor
    mean: Tensor
    variance: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, label_bins: LabelBins, width: int) -> None:
        super().__init__()
        self.label_bins = label_bins
        bins = self.bins
        for name in ("count", "seen"):
            self.register_buffer(name, torch.zeros(bins, 1, dtype=torch.float64))
        for name in ("total", "squares", "mean", "variance", "shift"):
            self.register_buffer(name, torch.zeros(bins, width, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(bins, width, dtype=torch.float64))

    @property
    def bins(self) -> int:
        """M."""
        return len(self.label_bins.occupied)

    def places(self, y: Tensor) -> Tensor:
        """The bin, from 0, of each of labels y [N]."""
        return self.label_bins.places(y)

    def recolour(self, z: Tensor, y: Tensor) -> Tensor:
        """Features z [N, F] of labels y [N] as smoothed; those of bins without statistics as they are."""
        places = self.places(y)
        return z * self.scale[places].to(z.dtype) + self.shift[places].to(z.dtype)

    def add(self, z: Tensor, y: Tensor) -> None:
        """Count features z [N, F] of labels y [N]."""
        places, z = self.places(y), z.double()
        self.count.index_add_(0, places, torch.ones_like(z[:, :1]))
        self.total.index_add_(0, places, z)
        self.squares.index_add_(0, places, z.square())

    def roll(self, momentum: float) -> None:
        """Take the epoch's statistics into the moving averages, smooth these, and start counting again.

        A bin's first epoch is taken whole; a bin without data keeps what it had.
        """
        self._take(1 - momentum * self.seen)
        kernel_sum = self.label_bins.smooth(self.seen).clamp_min(1)
        self._turn_to(*(self.label_bins.smooth(own) / kernel_sum for own in (self.mean, self.variance)))

    def _take(self, share: Tensor) -> None:
        """Move the averages by a share [M, 1] of the way to the epoch's statistics, and start counting again."""
        rows = self.count.clamp_min(1)
        mean = self.total / rows
        variance = (self.squares - rows * mean.square()).clamp_min(0) / (rows - 1).clamp_min(1)
        share = torch.where(self.count > 0, share, 0.0)
        self.mean.lerp_(mean, share)
        self.variance.lerp_(variance, share)
        self.seen.copy_(torch.maximum(self.seen, (self.count > 0).double()))
        for ended in (self.count, self.total, self.squares):
            ended.zero_()

    def _turn_to(self, mean: Tensor, variance: Tensor) -> None:
        """Recolour from the bins' own statistics to these [M, F]."""
        varies = self.variance > 0
        ratio = variance / torch.where(varies, self.variance, 1.0)
        self.scale.copy_(torch.where(varies, ratio.clamp(_LEAST, _MOST).sqrt(), 1.0))
        self.shift.copy_(torch.where(varies, mean - self.scale * self.mean, 0.0))


class ReferenceStatistics(Statistics):
    """The statistics of the authors' public code:

    - Bins run without a gap from the first to the last of the training labels (there from 3 to 99 years). One without
      data has mean 0 and variance 1, towards which its first epoch is averaged, too, and which its neighbours see.
    - The kernel is that of `kernel_of`, normalised to 1, and what lies beyond the ends is mirrored at the last bins.
    - What is smoothed is from before the epoch that has just ended, while a bin's own statistics are from after it:
      nothing is recoloured before the third epoch.
    - Statistics are of features as they were recoloured; there, of a second pass over the training split.
    """

    def __init__(self, label_bins: LabelBins, width: int) -> None:
        super().__init__(label_bins, width)
        self.variance.fill_(1)

    @property
    def bins(self) -> int:
        """M."""
        return int(self.label_bins.occupied[-1] - self.label_bins.occupied[0]) + 1

    def places(self, y: Tensor) -> Tensor:
        """The bin, from 0, of each of labels y [N]; the first or the last of labels beyond."""
        bins = label_bins(y, self.label_bins.bin_size) - self.label_bins.occupied[0]
        return bins.long().clamp(0, len(self.mean) - 1)

    def roll(self, momentum: float) -> None:
        """See `Statistics.roll`."""
        is_first = not self.seen.any()
        mean, variance = self._smoothed(self.mean), self._smoothed(self.variance)
        self._take(torch.full_like(self.count, 1.0 if is_first else 1 - momentum))
        if not is_first:
            self._turn_to(mean, variance)

    def _smoothed(self, values: Tensor) -> Tensor:
        """sum_k kernel(k) values[bin + k] / sum_k kernel(k), [M, F] -> [M, F]."""
        kernel, places = self.label_bins.kernel, torch.arange(len(values), device=values.device)
        period = max(2 * (len(values) - 1), 1)
        smoothed = torch.zeros_like(values)
        for shift, weight in kernel.items():
            around = (places + shift) % period
            smoothed += weight * values[torch.minimum(around, period - around)]
        return smoothed / sum(kernel.values())
