"""Y-Aware InfoNCE (Dufumier et al., MICCAI 2021; Table 1 of DynLocRep)."""

from torch import Tensor

from contrasweep.trainers.losses.base import register
from contrasweep.trainers.losses.exponential import Exponential


@register("y_aware")
class YAware(Exponential):
    """Every row attracts by its positiveness w_ik = K(y_i - y_k), and all repel alike:

        l_i = - sum_k w_ik / (sum_t w_it) * log( exp(s_ik) / sum_{t != i} exp(s_it) )

    Parameters are those of `exponential`; `variant="reference"` differs in the Cauchy kernel alone.

    >>> import torch
    >>> loss = YAware(sigma=5.0)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 40.0, 50.0])).shape
    torch.Size([])
    """

    def repulsion_logits(self, logits: Tensor, log_positiveness: Tensor) -> Tensor:
        return logits
