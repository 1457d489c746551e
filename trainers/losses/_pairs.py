"""Pairs of rows: which count, how alike the embeddings are, how far the labels."""

import torch
from torch import Tensor
from torch.nn import functional as F

from contrasweep.trainers.losses._masked import MASKED

SMALLEST_NORM = 1e-6
"""Bounds the gradient of the normalisation where an embedding collapses to zero."""


def unit(z: Tensor) -> Tensor:
    """Rows of z [N, D] scaled to length 1."""
    return F.normalize(z, dim=1, eps=SMALLEST_NORM)


def similarity(z: Tensor, temperature: float) -> Tensor:
    """s_ik = z_i . z_k / temperature over unit rows [N, D] -> [N, N]."""
    return (z / temperature) @ z.T


def label_distance(y: Tensor, dtype: torch.dtype) -> Tensor:
    """|y_i - y_k| in label units, [N, N]: subtracted in the labels' own precision, returned as `dtype`."""
    return (y[:, None] - y[None, :]).abs_().to(dtype)


def log_pairs(z: Tensor, group: Tensor | None) -> Tensor:
    """Log-weights [N, N] of the pairs that count: 0, or MASKED for a row with itself or across groups."""
    pairs = z.new_zeros(len(z), len(z))
    if group is not None:
        pairs.masked_fill_(group[:, None] != group[None, :], MASKED)
    return pairs.fill_diagonal_(MASKED)
