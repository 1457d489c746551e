"""Sums over subsets of a row that may be empty, without NaN in the value or in the gradient."""

from typing import Any

import torch
from torch import Tensor

MASKED = -1e30
"""Log-weight of a row outside a set: finite, so that an empty set has finite values and gradients."""


def nonempty(log_weight: Tensor) -> Tensor:
    """Whether each row [N, M] of log-weights has an entry inside the set: bool [N]."""
    return log_weight.amax(1) > MASKED / 2


def logsumexp(logits: Tensor, log_weight: Tensor) -> Tensor:
    """log sum_m exp(logits + log_weight) over [N, M] -> [N]; about MASKED for an empty set.

    Carries gradients to the logits alone.
    """
    sums: Tensor = _LogSumExp.apply(logits, log_weight)  # type: ignore[no-untyped-call]
    return sums


def softmax_and_sum(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax [N, M] and log-sum-exp [N] of logits [N, M] at the price of one: the softmax's largest entry is
    exp(maximum - log-sum-exp)."""
    softmax = logits.softmax(1)
    return softmax, logits.amax(1) - softmax.amax(1).log_()


class _LogSumExp(torch.autograd.Function):
    """Keeps one matrix for the backward pass, the softmax."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, log_weight: Tensor) -> Tensor:
        softmax, log_sum = softmax_and_sum(logits + log_weight)
        ctx.save_for_backward(softmax)
        return log_sum

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (softmax,) = ctx.saved_tensors
        return softmax * grad[:, None], None
