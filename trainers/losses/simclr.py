"""SimCLR's NT-Xent (Chen et al., ICML 2020, arXiv 2002.05709, Eq. 1)."""

import torch
from torch import Tensor

from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.supcon import SupCon
from contrasweep.trainers.parameters import Positive, Reduction


@register("simclr")
class SimCLR(SupCon):
    """`supcon` whose classes are the samples: the views of one sample attract, all rows repel; labels play no part.

    With one view there is nothing to attract: the loss is 0, and so is its gradient.

    >>> import torch
    >>> loss = SimCLR()
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 20.0, 30.0]), views=2).shape
    torch.Size([])
    """

    min_views = 2
    needs_labels = False

    def __init__(self, *, temperature: Positive = 0.5, reduction: Reduction = "mean") -> None:
        super().__init__(temperature=temperature, reduction=reduction)

    def classes(self, rows: Rows) -> Tensor:
        """The sample of each row, [N]."""
        return torch.arange(len(rows.z) // rows.views, device=rows.z.device).repeat(rows.views)
