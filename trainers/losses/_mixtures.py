"""Similarity of anchors to mixtures of embeddings, from the Gram matrix alone: no mixture is ever built.

For unit rows, z_i . (m z_j + (1-m) z_k) = m S_ij + (1-m) S_ik, and the mixture's length follows from the rows'
squared distance: its square is 1 - m (1-m) |z_j - z_k|^2.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from contrasweep.trainers.losses._masked import MASKED, softmax_and_sum
from contrasweep.trainers.losses._windows import Triples, Window

KEPT_BLOCKS = 16
"""Blocks of triples that stay in memory for the backward pass; the rest is computed again."""


def negative_logits(logits: Tensor, squared: Tensor | None, ratio: Tensor, temperature: float) -> Tensor:
    """Logits [N, N] of anchor i with Mix-neg (i, k), ratio_ik being the anchor's share (SupReMix, Eq. 1-2).

    logits [N, N] are the rows' own, S / temperature; squared [N, N] are the rows' squared distances where mixtures
    are renormalised.
    """
    dot = torch.addcmul(ratio / temperature, 1 - ratio, logits)
    return dot if squared is None else dot * _inverse_length(ratio * (1 - ratio), squared)


def positive_sums(logits: Tensor, squared: Tensor | None, windows: Iterable[Window]) -> tuple[Tensor, Tensor]:
    """Sum and log-sum-exp of each anchor's logits with its Mix-pos (SupReMix, Eq. 3-5): two [N].

    The sums are 0 and about MASKED for an anchor without any. Windows hold disjoint rows; logits and squared
    distances are those of `negative_logits`. Triples are worked through in blocks of anchors, most of which the
    backward pass computes again, so that memory does not grow with their number.
    """
    total, log_sum = _PositiveSums.apply(logits, squared, windows)  # type: ignore[no-untyped-call]
    return total, log_sum


def _inverse_length(spread: Tensor, squared: Tensor) -> Tensor:
    """1 / |m z_j + (1-m) z_k|, with spread = m (1-m); bounded where opposite rows cancel."""
    squared_length = torch.addcmul(spread.new_ones(()), spread, squared, value=-1)
    return squared_length.clamp_min(torch.finfo(spread.dtype).eps).rsqrt_()


@dataclass(frozen=True)
class _Block:
    """Logits [b, p, q] of the triples of b anchors and their softmax, with what the derivative needs."""

    triples: Triples
    mixed: Tensor
    spread: Tensor
    inverse_length: Tensor | None
    logits: Tensor
    softmax: Tensor
    log_sum: Tensor

    @classmethod
    def of(cls, triples: Triples, logits: Tensor, squared: Tensor | None) -> "_Block":
        rows = logits[triples.anchors]
        lower, upper = rows.gather(1, triples.lower)[:, :, None], rows.gather(1, triples.upper)[:, None, :]
        dot = torch.addcmul(upper, triples.ratio, lower - upper)
        mixed = (triples.lower[:, :, None] * len(logits) + triples.upper[:, None, :]).flatten()
        spread = torch.addcmul(triples.ratio, triples.ratio, triples.ratio, value=-1)
        inverse_length = None
        if squared is not None:
            inverse_length = _inverse_length(spread, squared.flatten().index_select(0, mixed).view_as(dot))
            dot.mul_(inverse_length)
        log_weight = (triples.valid - 1).mul_(-MASKED)
        softmax, log_sum = softmax_and_sum(log_weight.add_(dot).flatten(1))
        return cls(triples, mixed, spread, inverse_length, dot, softmax.view_as(dot), log_sum)

    def sums(self) -> tuple[Tensor, Tensor]:
        return (self.logits * self.triples.valid).sum((1, 2)), self.log_sum

    def grad(self, grad_total: Tensor, grad_log_sum: Tensor) -> Tensor:
        """Derivative by self.logits, given that by the sums [b]."""
        by_log_sum = self.softmax * grad_log_sum[:, None, None]
        return by_log_sum.addcmul_(self.triples.valid, grad_total[:, None, None])

    def backward(self, grad: Tensor, grad_logits: Tensor, grad_squared: Tensor | None) -> None:
        """Add the derivative by logits and squared distances to two [N, N], given that by self.logits, which is
        used up."""
        t = self.triples
        if self.inverse_length is not None:
            grad.mul_(self.inverse_length)
            if grad_squared is not None:
                by_squared = (grad * self.logits).mul_(self.inverse_length).mul_(self.spread)
                grad_squared.view(-1).index_add_(0, self.mixed, by_squared.flatten(), alpha=0.5)
        to_lower = grad * t.ratio
        by_row = grad_logits.new_zeros(len(t.anchors), grad_logits.shape[1])
        by_row.scatter_add_(1, t.lower, to_lower.sum(2))
        by_row.scatter_add_(1, t.upper, grad.sum(1) - to_lower.sum(1))
        grad_logits.index_add_(0, t.anchors, by_row)


class _PositiveSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, squared: Tensor | None, windows: Iterable[Window]) -> tuple[Tensor, Tensor]:
        ctx.windows, ctx.kept = windows, []
        ctx.save_for_backward(logits, squared)
        total, log_sum = torch.empty_like(logits[0]), torch.empty_like(logits[0])
        for block in _blocks(windows, logits, squared):
            total[block.triples.anchors], log_sum[block.triples.anchors] = block.sums()
            if len(ctx.kept) < KEPT_BLOCKS:
                ctx.kept.append(block)
        return total, log_sum

    @staticmethod
    def backward(ctx: Any, grad_total: Tensor, grad_log_sum: Tensor) -> tuple[Tensor, Tensor | None, None]:
        logits, squared = ctx.saved_tensors
        grad_logits = torch.zeros_like(logits)
        grad_squared = torch.zeros_like(logits) if ctx.needs_input_grad[1] else None
        for block in _blocks(ctx.windows, logits, squared, ctx.kept):
            anchors = block.triples.anchors
            block.backward(block.grad(grad_total[anchors], grad_log_sum[anchors]), grad_logits, grad_squared)
        return grad_logits, grad_squared, None


def _blocks(
    windows: Iterable[Window], logits: Tensor, squared: Tensor | None, known: Sequence[_Block] = ()
) -> Iterator[_Block]:
    """All blocks of all windows, the first of them from `known`."""
    yield from known
    slices = ((window, block) for window in windows for block in window.blocks())
    for window, block in islice(slices, len(known), None):
        yield _Block.of(window.triples(block, logits.dtype), logits, squared)
