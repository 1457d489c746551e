"""Features on one scale, whatever units an encoder gives them."""

import torch
from torch import Tensor

CONSTANT = 1e-6
"""Features that vary less than this, beside their size, only vary by rounding; they are not blown up."""


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [F] of features [N, F]; 1 for the deviation of a constant feature."""
    mean, scale = features.mean(0), features.std(0, correction=0)
    return mean, torch.where(scale > CONSTANT * features.abs().amax(0), scale, 1.0)
