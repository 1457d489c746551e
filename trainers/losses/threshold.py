"""Threshold contrastive regression loss (Barbano et al., ISBI 2023; Table 1 of DynLocRep)."""

import math

import torch
from torch import Tensor

from contrasweep.trainers.losses._masked import MASKED
from contrasweep.trainers.losses._pairs import label_distance, log_pairs, similarity, unit
from contrasweep.trainers.losses._ranked import ranked_contrast
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.y_aware import YAware


@register("threshold")
class Threshold(YAware):
    """`y_aware` where only rows of a label farther from the anchor's than the pair's repel it:

        l_i = - sum_k w_ik / (sum_t w_it) * log( exp(s_ik) / sum_{t: |y_i - y_t| > |y_i - y_k|} exp(s_it) )

    Terms without such rows, those of the farthest label, are dropped. `variant="reference"` is the public code,
    one denominator for all pairs of an anchor: row t repels with a weight of how many rows are less alike to t than
    the anchor is, by the kernel's values, which underflow into ties.

    >>> import torch
    >>> loss = Threshold(sigma=5.0)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 40.0, 50.0])).shape
    torch.Size([])
    """

    def compute(self, rows: Rows) -> Tensor:
        if self.variant == "reference":
            return super().compute(rows)
        z = unit(rows.z)
        pairs, distance = log_pairs(z, rows.group), label_distance(rows.y, z.dtype)
        logits, attraction = similarity(z, self.temperature), self.kernel(distance, self.sigma) + pairs
        values, counted = ranked_contrast(logits, attraction, pairs, distance, strict=True)
        return reduce_anchors(values, counted, self.reduction)

    def log_repulsion(self, rows: Rows, z: Tensor, logits: Tensor, pairs: Tensor) -> Tensor:
        """Log of how many rows are less alike to t than i is, [N, N]; MASKED where none is."""
        alike = self.kernel(label_distance(rows.y, z.dtype), self.sigma).exp_().masked_fill_(pairs < 0, math.inf)
        less_alike = torch.searchsorted(alike.sort(dim=1).values, alike).T
        return pairs + less_alike.to(z.dtype).log_().clamp_min_(MASKED)
