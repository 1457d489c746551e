"""From one value for each anchor to one number; anchors with an empty set are left out."""

import torch
from torch import Tensor


def reduce_anchors(values: Tensor, counted: Tensor, reduction: str) -> Tensor:
    """`mean` or `sum` of values [N] over the anchors where counted [N] is true; 0 where none is."""
    total = torch.where(counted, values, 0.0).sum()
    return total / counted.sum().clamp_min(1) if reduction == "mean" else total
