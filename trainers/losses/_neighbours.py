"""Nearest rows in the embedding, and how many of them repel in each epoch (DynLocRep, Algorithm 1)."""

import math
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from contrasweep.trainers.losses._masked import MASKED

_NORMS = {"manhattan": 1.0, "euclidean": 2.0, "chebyshev": math.inf}

Distance: TypeAlias = Literal["manhattan", "euclidean", "cosine", "chebyshev"]


def scheduled_neighbours(samples: int, views: int, epoch: int, *, final: int, step_size: int, max_epochs: int) -> int:
    """NN_nb of an epoch (from 0), in samples: falls linearly from all `samples` to `final`.

    >>> [scheduled_neighbours(32, 2, e, final=14, step_size=1, max_epochs=50) for e in (0, 1, 46, 47, 49)]
    [32, 31, 15, 14, 14]
    """
    steps_done, steps = epoch // step_size, max_epochs // step_size
    drop = samples - final
    fallen = -(-drop * steps_done // (steps - 1)) if steps > 1 else drop * min(steps_done, 1)
    return min(max(samples - fallen, final, 2 if views == 1 else 1), samples)


def log_nearness(d: Tensor, log_pairs: Tensor, count: int, lam: float) -> Tensor:
    """Log-weights [N, N] of the rows that repel: nu_it = min(1, r_i / d_it)^lam (Appendix A.1), MASKED outside.

    d [N, N] are distances, without gradient; r_i is that to the `count`-th nearest row of the anchor's own pairs;
    rows as far as it count as neighbours too. `lam` = inf leaves the neighbours alone.
    """
    d = d - log_pairs
    radius = _kth_smallest(d, min(count, len(d)))
    if math.isinf(lam):
        return log_pairs + MASKED * (d > radius).to(d)
    nu = torch.where(d <= radius, 1.0, radius / d).log_()
    return log_pairs + (lam * nu).clamp_min_(MASKED)


def pairwise_distance(z: Tensor, distance: str) -> Tensor:
    """Distances between rows [N, D] under a norm -> [N, N]; each pair is measured once, which cdist does not do."""
    upper = torch.ones(len(z), len(z), dtype=torch.bool, device=z.device).triu_(1)
    d = z.new_zeros(len(z), len(z)).masked_scatter_(upper, F.pdist(z, p=_NORMS[distance]))
    return d + d.T


def _kth_smallest(d: Tensor, k: int) -> Tensor:
    """The k-th smallest value of each row, [N, N] -> [N, 1]."""
    if d.device.type == "cpu":  # NumPy's selection is vectorised: ten times as fast as torch's there
        return torch.from_numpy(np.partition(d.numpy(), k - 1, axis=1)[:, k - 1 : k])
    return d.kthvalue(k, dim=1, keepdim=True).values
