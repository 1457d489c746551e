"""Supervised contrastive learning (Khosla et al., NeurIPS 2020, arXiv 2004.11362, Eq. 2)."""

from torch import Tensor

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._masked import logsumexp
from contrasweep.trainers.losses._pairs import log_pairs, similarity, unit
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Positive, Reduction


@register("supcon")
class SupCon(Loss):
    """Rows of one class attract, all rows repel:

        l_i = - mean_p log( exp(s_ip) / sum_{t != i} exp(s_it) )

    with s = cosine / temperature; p runs over the other rows of the anchor's class. A class is a label, or with
    `bin_size` in label units all labels with the same floor(y / bin_size).

    >>> import torch
    >>> loss = SupCon(bin_size=5.0)
    >>> loss(torch.eye(4), torch.tensor([20.0, 21.0, 40.0, 42.0])).shape
    torch.Size([])
    """

    features = "encoder"

    def __init__(
        self,
        *,
        temperature: Positive = 0.1,
        bin_size: Positive | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.bin_size = bin_size
        self.reduction = reduction

    def classes(self, rows: Rows) -> Tensor:
        """What rows of one class share, [N]."""
        return label_bins(rows.y, self.bin_size)

    def compute(self, rows: Rows) -> Tensor:
        z = unit(rows.z)
        pairs = log_pairs(z, rows.group)
        logits = similarity(z, self.temperature)
        classes = self.classes(rows)
        positive = ((classes[:, None] == classes[None, :]) & (pairs == 0)).to(z.dtype)
        positives = positive.sum(1)
        log_denominator = logsumexp(logits, self.log_repulsion(rows, pairs))
        values = log_denominator - (positive * logits).sum(1) / positives.clamp_min(1)
        return reduce_anchors(values, positives > 0, self.reduction)

    def log_repulsion(self, rows: Rows, pairs: Tensor) -> Tensor:
        """Log-weights [N, N] of the rows in each anchor's denominator; here all its pairs alike."""
        return pairs
