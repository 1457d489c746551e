"""Similarity of anchors to mixtures of embeddings, from the Gram matrix alone: no mixture is ever built.

For unit rows, z_i . (m z_j + (1-m) z_k) = m S_ij + (1-m) S_ik, and the mixture's length follows from S_jk:
its square is 1 - 2 m (1-m) (1 - S_jk).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from trainers.losses._masked import MASKED, logsumexp
from trainers.losses._windows import Triples, Window

KEPT_BLOCKS = 16
"""Blocks of triples that stay in memory for the backward pass; the rest is computed again."""


def negative_logits(logits: Tensor, cosines: Tensor | None, ratio: Tensor, temperature: float) -> Tensor:
    """Logits [N, N] of anchor i with Mix-neg (i, k), ratio_ik being the anchor's share (SupReMix, Eq. 1-2).

    logits [N, N] are the rows' own, S / temperature; cosines [N, N] are S where mixtures are renormalised.
    """
    dot = torch.addcmul(ratio / temperature, 1 - ratio, logits)
    return dot if cosines is None else dot * _inverse_length(2 * ratio * (1 - ratio), cosines)


def positive_sums(logits: Tensor, cosines: Tensor | None, windows: Iterable[Window]) -> tuple[Tensor, Tensor]:
    """Sum and log-sum-exp of each anchor's logits with its Mix-pos (SupReMix, Eq. 3-5): two [N].

    The sums are 0 and about MASKED for an anchor without any. Windows hold disjoint rows; logits and cosines are
    those of `negative_logits`. Triples are worked through in blocks of anchors, most of which the
    backward pass computes again, so that memory does not grow with their number.
    """
    total, log_sum = _PositiveSums.apply(logits, cosines, windows)  # type: ignore[no-untyped-call]
    return total, log_sum


def _inverse_length(spread: Tensor, cosines: Tensor) -> Tensor:
    """1 / |m z_j + (1-m) z_k|, with spread = 2 m (1-m); bounded where opposite rows cancel."""
    squared = torch.addcmul(1 - spread, spread, cosines)
    return squared.clamp_min(torch.finfo(spread.dtype).eps).rsqrt()


@dataclass(frozen=True)
class _Block:
    """Logits [b, p, q] of the triples of b anchors, with what their derivative needs."""

    triples: Triples
    mixed: Tensor
    spread: Tensor
    inverse_length: Tensor | None
    logits: Tensor

    @classmethod
    def of(cls, triples: Triples, logits: Tensor, cosines: Tensor | None) -> "_Block":
        rows = logits[triples.anchors]
        lower, upper = rows.gather(1, triples.lower)[:, :, None], rows.gather(1, triples.upper)[:, None, :]
        dot = torch.addcmul(upper, triples.ratio, lower - upper)
        mixed = (triples.lower[:, :, None] * len(logits) + triples.upper[:, None, :]).flatten()
        spread = (1 - triples.ratio).mul_(triples.ratio).mul_(2)
        if cosines is None:
            return cls(triples, mixed, spread, None, dot)
        inverse_length = _inverse_length(spread, cosines.flatten().index_select(0, mixed).view_as(dot))
        return cls(triples, mixed, spread, inverse_length, dot.mul_(inverse_length))

    @property
    def log_weight(self) -> Tensor:
        return torch.mul(self.triples.valid - 1, -MASKED).flatten(1)

    def sums(self) -> tuple[Tensor, Tensor]:
        logits = self.logits.flatten(1)
        return (logits * self.triples.valid.flatten(1)).sum(1), logsumexp(logits, self.log_weight)

    def grad(self, grad_total: Tensor, grad_log_sum: Tensor) -> Tensor:
        """Derivative by self.logits, given that by the sums [b]."""
        softmax = (self.logits.flatten(1) + self.log_weight).softmax(1).view_as(self.logits)
        by_log_sum = softmax.mul_(grad_log_sum[:, None, None])
        return by_log_sum.addcmul_(self.triples.valid, grad_total[:, None, None])

    def backward(self, grad: Tensor, grad_logits: Tensor, grad_cosines: Tensor | None) -> None:
        """Add the derivative by logits and cosines to two [N, N], given that by self.logits, which is used up."""
        t = self.triples
        if self.inverse_length is not None:
            if grad_cosines is not None:
                by_squared = (grad * self.logits).mul_(self.inverse_length).mul_(self.inverse_length).mul_(-0.5)
                grad_cosines.view(-1).index_add_(0, self.mixed, by_squared.mul_(self.spread).flatten())
            grad = grad.mul_(self.inverse_length)
        to_lower = grad * t.ratio
        by_row = grad_logits.new_zeros(len(t.anchors), grad_logits.shape[1])
        by_row.scatter_add_(1, t.lower, to_lower.sum(2))
        by_row.scatter_add_(1, t.upper, grad.sum(1) - to_lower.sum(1))
        grad_logits.index_add_(0, t.anchors, by_row)


class _PositiveSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, cosines: Tensor | None, windows: Iterable[Window]) -> tuple[Tensor, Tensor]:
        ctx.windows, ctx.kept = windows, []
        ctx.save_for_backward(logits, cosines)
        total, log_sum = torch.empty_like(logits[0]), torch.empty_like(logits[0])
        for block in _blocks(windows, logits, cosines):
            total[block.triples.anchors], log_sum[block.triples.anchors] = block.sums()
            if len(ctx.kept) < KEPT_BLOCKS:
                ctx.kept.append(block)
        return total, log_sum

    @staticmethod
    def backward(ctx: Any, grad_total: Tensor, grad_log_sum: Tensor) -> tuple[Tensor, Tensor | None, None]:
        logits, cosines = ctx.saved_tensors
        grad_logits = torch.zeros_like(logits)
        grad_cosines = torch.zeros_like(logits) if ctx.needs_input_grad[1] else None
        for block in _blocks(ctx.windows, logits, cosines, ctx.kept):
            anchors = block.triples.anchors
            block.backward(block.grad(grad_total[anchors], grad_log_sum[anchors]), grad_logits, grad_cosines)
        return grad_logits, grad_cosines, None


def _blocks(
    windows: Iterable[Window], logits: Tensor, cosines: Tensor | None, known: Sequence[_Block] = ()
) -> Iterator[_Block]:
    """All blocks of all windows, the first of them from `known`."""
    yield from known
    slices = ((window, block) for window in windows for block in window.blocks())
    for window, block in islice(slices, len(known), None):
        yield _Block.of(window.triples(block, logits.dtype), logits, cosines)
