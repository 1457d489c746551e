"""Exponential contrastive regression loss (Barbano et al. 2023; Table 1 of DynLocRep)."""

from torch import Tensor

from contrasweep.trainers.losses._kernels import KERNELS, KernelName, Variant, positiveness, warn_of_flat_kernel
from contrasweep.trainers.losses._masked import logsumexp, nonempty
from contrasweep.trainers.losses._pairs import label_distance, log_pairs, similarity, unit
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Positive, Reduction


@register("exponential")
class Exponential(Loss):
    """Every row attracts by its positiveness w_ik = K(y_i - y_k) and repels by what is left of it:

        l_i = - sum_k w_ik / (sum_t w_it) * log( exp(s_ik) / sum_{t != i} exp(s_it (1 - w_it)) )

    with s_ik = z_i . z_k / temperature over unit embeddings. sigma and label_range are in label units;
    label_range (of the training split) serves a warning alone. `variant="reference"` subtracts the row
    maximum before the multiplication by 1 - w, as the public code does.

    >>> import torch
    >>> loss = Exponential(sigma=5.0)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 40.0, 50.0])).shape
    torch.Size([])
    """

    features = "projection"

    def __init__(
        self,
        *,
        temperature: Positive = 0.1,
        kernel: KernelName = "rbf",
        sigma: Positive = 2.0,
        label_range: Positive | None = None,
        reduction: Reduction = "mean",
        variant: Variant = "paper",
    ) -> None:
        super().__init__()
        if label_range is not None:
            warn_of_flat_kernel(self.name, sigma, label_range)
        self.temperature = temperature
        self.kernel = KERNELS[variant][kernel]
        self.sigma = sigma
        self.reduction = reduction
        self.variant = variant

    def compute(self, rows: Rows) -> Tensor:
        z = unit(rows.z)
        pairs = log_pairs(z, rows.group)
        log_positiveness = self.kernel(label_distance(rows.y, z.dtype), self.sigma)
        attraction = log_positiveness + pairs
        logits = similarity(z, self.temperature)
        repulsion = self.log_repulsion(rows, z.detach(), logits.detach(), pairs)
        if self.variant == "reference":
            logits = logits - logits.detach().amax(1, keepdim=True)
        shares = self.attraction_shares(attraction)
        log_denominator = logsumexp(self.repulsion_logits(logits, log_positiveness), repulsion)
        values = shares.sum(1) * log_denominator - (shares * logits).sum(1)
        return reduce_anchors(values, nonempty(attraction) & nonempty(repulsion), self.reduction)

    def attraction_shares(self, log_weight: Tensor) -> Tensor:
        """w_ik / sum_t w_it, [N, N], from log-weights [N, N]."""
        return log_weight.softmax(1)

    def repulsion_logits(self, logits: Tensor, log_positiveness: Tensor) -> Tensor:
        """Logits [N, N] of the denominator, s_it (1 - w_it)."""
        return logits * (1 - positiveness(log_positiveness))

    def log_repulsion(self, rows: Rows, z: Tensor, logits: Tensor, pairs: Tensor) -> Tensor:
        """Log-weights [N, N] of the rows that repel each anchor, given z and its logits without gradient; here all
        its pairs alike."""
        return pairs
