"""Bins of labels."""

import torch
from torch import Tensor


def label_bins(y: Tensor, bin_size: float | None) -> Tensor:
    """floor(y / bin_size) of labels y [N], float64; `bin_size` in their unit. Without one, the labels themselves.

    Rounding of decimal labels does not move one that lies on an edge into the bin below.

    >>> label_bins(torch.tensor([0.5, 0.6, 0.65], dtype=torch.float64), 0.1).tolist()
    [5.0, 6.0, 6.0]
    """
    if bin_size is None:
        return y
    quotient = y.double() / bin_size
    precision = torch.finfo(y.dtype if y.is_floating_point() else torch.double).eps
    return torch.floor(quotient + 4 * precision * quotient.abs().clamp_min(1))
