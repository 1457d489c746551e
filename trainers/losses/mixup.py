"""Direct regression on mixed images: mixup (Zhang et al. 2018) at the input."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from contrasweep.trainers.distributed import gather_views, own_rows
from contrasweep.trainers.losses.base import Samples, register
from contrasweep.trainers.losses.vanilla import Vanilla
from contrasweep.trainers.parameters import Positive, Several
from contrasweep.trainers.regression import Kind

MixingExponent: TypeAlias = Annotated[float, Field(ge=1e-3, allow_inf_nan=False)]
"""Below, draws from Beta(alpha, alpha) underflow to 0 / 0."""


@register("mixup")
class Mixup(Vanilla):
    """`vanilla` on mixtures of each image, its label and its covariates with a partner's:

        x = m x_i + (1 - m) x_j,   y = m y_i + (1 - m) y_j,   m ~ Beta(alpha, alpha)

    with j drawn evenly, with replacement, out of the global batch. There is one m for a batch, as in the public
    code of mixup and of C-Mixup (Yao et al. 2022); `alpha` 2 and `mse` are what the latter takes for regression.
    Partners are of the same group. A view mixes with the partner's view of the same number, so that the views of a
    sample keep one label. Other parameters are those of `vanilla`.

    >>> loss = Mixup(alpha=1.0)
    >>> loss.mix(Samples(torch.zeros(4, 1, 8, 8), torch.full((4,), 30.0), None), None, views=1).y
    tensor([30., 30., 30., 30.])
    """

    def __init__(
        self,
        *,
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
            kind=kind,
            bend=bend,
            bins=bins,
            soft_bin=soft_bin,
            soft_sd=soft_sd,
            train_labels=train_labels,
            width=width,
        )
        self.alpha = alpha

    def mix(self, samples: Samples, group: Tensor | None, views: int) -> Samples:
        groups = None if group is None else gather_views(group, views)
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        partner = own_rows(self.partners(gather_views(samples.y, views), groups, views), views)

        def mixed(own: Tensor) -> Tensor:
            return torch.lerp(gather_views(own, views)[partner], own, share)

        covariates = None if samples.covariates is None else mixed(samples.covariates)
        return Samples(mixed(samples.images), mixed(samples.y), covariates)

    def partners(self, y: Tensor, group: Tensor | None, views: int) -> Tensor:
        """The row that each row of the global batch is mixed with, [N], maybe itself."""
        samples = len(y) // views
        log_density = self.log_density(y[:samples])
        if group is not None:
            group = group[:samples]
            log_density = log_density.masked_fill(group[:, None] != group[None, :], -torch.inf)
        drawn = torch.multinomial(log_density.softmax(1), 1).squeeze(1)
        return torch.cat([drawn + view * samples for view in range(views)])

    def log_density(self, y: Tensor) -> Tensor:
        """Log-probability [B, B] of each partner, up to a constant, for samples with labels y [B]."""
        return torch.zeros(len(y), len(y), dtype=torch.float64, device=y.device)
