"""Rank-N-Contrast (Zha et al., NeurIPS 2023, arXiv 2210.01189)."""

from typing import Literal

from torch import Tensor

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._neighbours import pairwise_distance
from contrasweep.trainers.losses._pairs import label_distance, log_pairs
from contrasweep.trainers.losses._ranked import ranked_contrast
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Positive, Reduction


@register("rank_n_contrast")
class RankNContrast(Loss):
    """Each pair is contrasted with the rows at least as far from the anchor in label:

        l_i = - 1 / (N - 1) sum_{j != i} log( exp(s_ij) / sum_{k != i, |y_i - y_k| >= |y_i - y_j|} exp(s_ik) )

    with s_ij = -|f_i - f_j| / temperature, the Euclidean distance of embeddings as they are, not normalised.
    `on` says whose: the `encoder`'s features, as published, or those of a `projection` head. With `bin_size`, in
    label units, y is floor(y / bin_size).

    >>> import torch
    >>> loss = RankNContrast()
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 40.0, 50.0])).shape
    torch.Size([])
    """

    features = "encoder"

    def __init__(
        self,
        *,
        temperature: Positive = 2.0,
        on: Literal["encoder", "projection"] = "encoder",
        bin_size: Positive | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.reads = on
        self.bin_size = bin_size
        self.reduction = reduction

    def compute(self, rows: Rows) -> Tensor:
        pairs = log_pairs(rows.z, rows.group)
        logits = pairwise_distance(rows.z, "euclidean") / -self.temperature
        distance = label_distance(label_bins(rows.y, self.bin_size), rows.z.dtype)
        values, counted = ranked_contrast(logits, pairs, pairs, distance, strict=False)
        return reduce_anchors(values, counted, self.reduction)
