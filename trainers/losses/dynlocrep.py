"""Dynamic Localized Repulsion (Eq. 1-4, Algorithm 1 of the paper)."""

import math

from torch import Tensor

from contrasweep.trainers.losses._kernels import KernelName, Variant
from contrasweep.trainers.losses._masked import nonempty
from contrasweep.trainers.losses._neighbours import Distance, log_nearness, pairwise_distance, scheduled_neighbours
from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.exponential import Exponential
from contrasweep.trainers.parameters import Count, NotNegativeOrInfinite, Positive, Reduction, Whole


@register("dynlocrep")
class DynLocRep(Exponential):
    """`exponential` whose repulsion shrinks over training to the rows near the anchor in the embedding:

        l_i = - sum_k w_ik / (sum_t w_it) * log( exp(s_ik) / sum_{t in NN(i), t != i} exp(s_it (1 - w_it)) )

    NN(i) holds `views * NN_nb` rows, the anchor itself among them, nearest by `distance` between unit
    embeddings; NN_nb falls from the batch's samples at epoch 0 to `nn_final` at `max_epochs`, one step
    every `nn_step_size` epochs. Rows outside repel with weight (r_i / d_it)^lam, r_i the distance to the
    last neighbour: lam = inf leaves them out, lam = 0 is `exponential`.
    `variant="reference"` also divides by the batch's sum of w instead of each anchor's own.

    Raises UserError where nn_step_size reaches max_epochs, and for a batch of fewer than nn_final samples.

    >>> import torch
    >>> loss = DynLocRep(nn_final=1)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 20.0, 30.0]), epoch=49, views=2).shape
    torch.Size([])
    """

    def __init__(
        self,
        *,
        temperature: Positive = 0.1,
        kernel: KernelName = "rbf",
        sigma: Positive = 2.0,
        distance: Distance = "manhattan",
        nn_final: Whole = 14,
        nn_step_size: Count = 1,
        max_epochs: Count = 50,
        lam: NotNegativeOrInfinite = math.inf,
        label_range: Positive | None = None,
        reduction: Reduction = "mean",
        variant: Variant = "paper",
    ) -> None:
        super().__init__(
            temperature=temperature,
            kernel=kernel,
            sigma=sigma,
            label_range=label_range,
            reduction=reduction,
            variant=variant,
        )
        if nn_step_size >= max_epochs:
            self._refuse(f"nn_step_size is {nn_step_size}; allowed: below max_epochs, {max_epochs}")
        self.distance = distance
        self.nn_final = nn_final
        self.nn_step_size = nn_step_size
        self.max_epochs = max_epochs
        self.lam = lam

    def attraction_shares(self, log_weight: Tensor) -> Tensor:
        if self.variant == "paper":
            return super().attraction_shares(log_weight)
        return nonempty(log_weight).sum() * log_weight.flatten().softmax(0).view_as(log_weight)

    def log_repulsion(self, rows: Rows, z: Tensor, logits: Tensor, pairs: Tensor) -> Tensor:
        samples = len(z) // rows.views
        if self.nn_final > samples:
            self._refuse(f"nn_final is {self.nn_final}; allowed: at most the global batch size, {samples}")
        neighbours = rows.views * scheduled_neighbours(
            samples,
            rows.views,
            rows.epoch,
            final=self.nn_final,
            step_size=self.nn_step_size,
            max_epochs=self.max_epochs,
        )
        if neighbours == len(z) or self.lam == 0:
            return pairs
        cosine = self.distance == "cosine"
        d = (1 - self.temperature * logits).clamp_min_(0) if cosine else pairwise_distance(z, self.distance)
        return log_nearness(d, pairs, neighbours - 1, self.lam)
