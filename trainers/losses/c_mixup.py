"""Direct regression on mixtures of images whose labels are close: C-Mixup (Yao et al. 2022)."""

from collections.abc import Sequence

from torch import Tensor

from contrasweep.trainers.losses.base import register
from contrasweep.trainers.losses.mixup import MixingExponent, Mixup
from contrasweep.trainers.parameters import Positive, Several
from contrasweep.trainers.regression import Kind


@register("c_mixup")
class CMixup(Mixup):
    """`mixup` whose partners are the likelier the closer their labels, the sample itself included (Yao et al. 2022):

        P(j | i) proportional to exp( - (y_i - y_j)^2 / (2 bandwidth^2) )

    over the global batch, the paper's batch-wise variant. `bandwidth` is in label units; the authors tune it for
    each data set, and 1.75 is their first, for labels over a range of 38. Other parameters are those of `mixup`.

    >>> import torch
    >>> CMixup(bandwidth=1.0).partners(torch.tensor([20.0, 50.0, 80.0]), None, views=1)
    tensor([0, 1, 2])
    """

    def __init__(
        self,
        *,
        bandwidth: Positive = 1.75,
        alpha: MixingExponent = 2.0,
        kind: Kind = "mse",
        bend: Positive = 1.0,
        bins: Several = 101,
        soft_bin: Positive = 1.0,
        soft_sd: Positive = 1.0,
        train_labels: Sequence[float] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(
            alpha=alpha,
            kind=kind,
            bend=bend,
            bins=bins,
            soft_bin=soft_bin,
            soft_sd=soft_sd,
            train_labels=train_labels,
            width=width,
        )
        self.bandwidth = bandwidth

    def log_density(self, y: Tensor) -> Tensor:
        distance = y[:, None].double() - y[None, :]
        return (distance / self.bandwidth).square() / -2
