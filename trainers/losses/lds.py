"""Direct regression that counts rare labels more: label distribution smoothing (Yang et al. 2021)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from contrasweep.trainers.losses._kernels import Variant
from contrasweep.trainers.losses._label_density import LabelBins, Reweight
from contrasweep.trainers.losses.base import register
from contrasweep.trainers.losses.vanilla import Vanilla
from contrasweep.trainers.parameters import OddCount, Positive, Several
from contrasweep.trainers.regression import Kind


@register("lds")
class LDS(Vanilla):
    """`vanilla` with each row's error weighted by one over the density of training labels around its own:

        p(b) = sum_b' k(b, b') p'(b'),   w_i proportional to 1 / p(bin of y_i)   (Yang et al. 2021, Eq. 1)

    with p' the square roots of the counts of labels in bins of `bin_size` label units, or for
    `reweight="inverse"` the counts clipped to 5 to 1000, and k a Gaussian over `kernel_size` bins with a
    deviation of `sigma` bins. Weights have mean 1 over the training split. Without `train_labels` the labels of the
    batch are counted. `variant="reference"` has the kernel of the authors' public code, which is flatter (`kernel_of`).
    Other parameters are those of `vanilla`.

    >>> import torch
    >>> loss = LDS(kernel_size=1, train_labels=[30.0] * 9 + [40.0])
    >>> loss.weights(torch.tensor([30.0, 40.0]))
    tensor([0.8333, 2.5000], dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        bin_size: Positive = 1.0,
        reweight: Reweight = "sqrt_inverse",
        kernel_size: OddCount = 5,
        sigma: Positive = 2.0,
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
        self.reweight = reweight
        self.binning = partial(LabelBins, bin_size=bin_size, kernel_size=kernel_size, sigma=sigma, variant=variant)
        self.label_bins = None if train_labels is None else self.binning(train_labels)

    def weights(self, y: Tensor) -> Tensor:
        label_bins = self.binning(y) if self.label_bins is None else self.label_bins
        return label_bins.rarity(self.reweight)[label_bins.places(y)]
