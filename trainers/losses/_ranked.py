"""Contrast of each pair with the rows whose labels are farther from the anchor's: sums over nested sets, by rank."""

from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from contrasweep.trainers.losses._masked import MASKED, nonempty

BLOCK = 32
"""Columns of a block of `running_logsumexp`."""


def ranked_contrast(
    logits: Tensor, log_weight: Tensor, pairs: Tensor, distance: Tensor, *, strict: bool
) -> tuple[Tensor, Tensor]:
    """Values [N] of the anchors, and whether they count: bool [N].

        - sum_k w_ik / sum_t w_it * log( exp(s_ik) / sum_{t: d_it >= d_ik} exp(s_it) ),   d_it > d_ik where `strict`

    logits s, log-weights w, log-pairs and label distances d are [N, N]. Terms with an empty set are dropped; an
    anchor without any left does not count. Carries gradients to the logits alone.
    """
    ranks = _Ranks.of(distance.masked_fill(pairs < 0, -1))  # what is no pair lies nearer than all pairs
    begin, end = (ranks.after, ranks.first) if strict else (ranks.first, ranks.after)
    log_weight = log_weight.gather(1, ranks.order)
    log_total = log_weight.logsumexp(1, keepdim=True)
    kept = log_weight.masked_fill_(end == 0, MASKED)
    values: Tensor = _RankedContrast.apply(  # type: ignore[no-untyped-call]
        logits, kept - log_total, ranks.order, begin, end
    )
    return values, nonempty(kept)


class _Ranks(NamedTuple):
    """Columns of each row in falling order [N, N], and the places where the run of equals of each place begins and
    where it is over."""

    order: Tensor
    first: Tensor
    after: Tensor

    @classmethod
    def of(cls, distance: Tensor) -> "_Ranks":
        ordered, order = distance.sort(dim=1, descending=True, stable=True)
        places = torch.arange(len(distance), device=distance.device)
        changes = ordered[:, 1:] != ordered[:, :-1]
        first = pad(places[1:] * changes, (1, 0)).cummax(1).values
        last = (places[:-1] * changes).masked_fill_(~changes, len(places) - 1)
        return cls(order, first, pad(last, (0, 1), value=len(places) - 1).flip(1).cummin(1).values.flip(1) + 1)


def running_logsumexp(x: Tensor) -> Tensor:
    """log of the running sums of exp(x) along rows [N, M]: torch's logcumsumexp, four times as fast on a CPU.

    Runs inside blocks of columns come first, for all blocks at once; then each takes on the blocks before it.
    """
    blocks = pad(x, (0, -x.shape[1] % BLOCK), value=MASKED).view(len(x), -1, BLOCK).permute(2, 0, 1).contiguous()
    inside = torch.stack(list(accumulate(blocks, torch.logaddexp)), 2)
    before = inside[:, :-1, -1:].logcumsumexp(1)
    return torch.cat([inside[:, :1], torch.logaddexp(inside[:, 1:], before)], 1).flatten(1)[:, : x.shape[1]]


class _RankedContrast(torch.autograd.Function):
    """In the order of the ranks, the set of place p is [0, end[p]), and p is in the sets of [begin[p], N).

    Both ways are running log-sum-exps, which neither overflow nor lose a far row beside a near one.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, log_share: Tensor, order: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        ordered = logits.gather(1, order)
        log_sum = pad(running_logsumexp(ordered), (1, 0)).gather(1, end)
        share = log_share.exp()
        pull = running_logsumexp((log_share - log_sum).flip(1)).flip(1)
        softmax = pad(pull, (0, 1), value=MASKED).gather(1, begin).add_(ordered).exp_()
        ctx.save_for_backward(torch.empty_like(logits).scatter_(1, order, softmax - share))
        return (share * (log_sum - ordered)).sum(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (derivative,) = ctx.saved_tensors
        return derivative * grad[:, None], None, None, None, None
