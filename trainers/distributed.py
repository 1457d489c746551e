"""The global batch under data parallelism: every worker computes the same loss of all workers' rows."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def rank() -> int:
    """This worker's number, from 0; 0 where there is one worker."""
    return dist.get_rank() if _initialised() else 0


def world_size() -> int:
    """How many workers train together."""
    return dist.get_world_size() if _initialised() else 1


def first_says(number: int, device: torch.device) -> int:
    """What worker 0 says, on every worker."""
    said = torch.tensor(number, device=device)
    if world_size() > 1:
        dist.broadcast(said, src=0)
    return int(said)


def gather_rows(x: Tensor) -> Tensor:
    """All workers' rows in rank order, [b, ...] -> [W * b, ...]; every worker holds the same b.

    Carries gradients: the backward pass returns the worker's own rows times W, because every worker
    computes the same loss and DistributedDataParallel averages, so that the averaged gradient is the
    one-worker gradient. The identity for one worker.
    """
    if world_size() == 1:
        return x
    rows: Tensor = _GatherRows.apply(x)  # type: ignore[no-untyped-call]
    return rows


def gather_views(x: Tensor, views: int) -> Tensor:
    """Like `gather_rows` for rows stacked view by view, [V * b, ...] -> [V * W * b, ...]: view 0 of all
    workers' samples in rank order, then view 1.
    """
    per_worker: Tensor = gather_rows(x).unflatten(0, (world_size(), views, -1))
    return per_worker.transpose(0, 1).flatten(0, 2)


def own_rows(x: Tensor, views: int) -> Tensor:
    """This worker's rows of the global batch, [V * W * b, ...] -> [V * b, ...]: the inverse of `gather_views`."""
    rows: Tensor = x.unflatten(0, (views, world_size(), -1))
    return rows[:, rank()].flatten(0, 1)


def _initialised() -> bool:
    return dist.is_available() and dist.is_initialized()


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        gathered = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(gathered, x.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        own = grad.narrow(0, rank() * ctx.rows, ctx.rows)
        return own.mul(world_size())
