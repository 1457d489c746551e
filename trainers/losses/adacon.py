"""AdaCon: supervised contrast with margins that grow with the label distance (Dai et al. 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._pairs import label_distance
from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.supcon import SupCon
from contrasweep.trainers.parameters import NotNegative, Positive, Reduction


@register("adacon")
class AdaCon(SupCon):
    """`supcon` with margins: rows of other labels repel, the more the more of the labels lie in between:

        l_i = - mean_p log( exp(s_ip) / sum_{t != i} exp(s_it + m_it / temperature) )
        m_it = margin * |F(y_i) - F(y_t)|

    with s = cosine / temperature and p over the rows of the anchor's label. F is the empirical distribution of
    `train_labels` (of the batch's own without them), half of the samples at a label counting as below it; so the
    default margin, 2, spans the range of the cosine. With `bin_size`, in label units, a bin's labels are all one:
    floor(y / bin_size).

    This is what the authors' public code computes, where 1 / temperature is a scale of 150 and labels, ejection
    fractions, are told apart in steps of 0.05 %. There it is added, times 0.75, to the squared error of a
    regression branch trained along; here it pretrains alone.

    >>> import torch
    >>> loss = AdaCon()
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 20.0, 30.0]), views=2).shape
    torch.Size([])
    """

    min_views = 2
    labels: Tensor | None

    def __init__(
        self,
        *,
        temperature: Positive = 1 / 150,
        margin: NotNegative = 2.0,
        bin_size: Positive | None = None,
        reduction: Reduction = "mean",
        train_labels: Sequence[float] | None = None,
    ) -> None:
        super().__init__(temperature=temperature, bin_size=bin_size, reduction=reduction)
        self.margin = margin
        labels = None if train_labels is None else label_bins(torch.tensor(train_labels, dtype=torch.float64), bin_size)
        self.register_buffer("labels", labels, persistent=False)

    def log_repulsion(self, rows: Rows, pairs: Tensor) -> Tensor:
        y = self.classes(rows)
        y = y if y.is_floating_point() else y.double()
        levels = distribution(y, y if self.labels is None else self.labels.to(y))
        margins = self.margin * label_distance(levels, pairs.dtype)
        return pairs + margins / self.temperature


def distribution(y: Tensor, labels: Tensor) -> Tensor:
    """F(y) of labels [n]: the share of them below y [N], and half of the share at y.

    >>> import torch
    >>> distribution(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([2.0, 1.0, 2.0, 2.0]))
    tensor([0.1250, 0.6250, 1.0000], dtype=torch.float64)
    """
    ordered = labels.sort().values
    below, upto = (torch.searchsorted(ordered, y, right=right) for right in (False, True))
    return (below + upto).double() / (2 * len(ordered))
