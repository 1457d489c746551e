"""NNCLR: contrast with the nearest neighbour among past embeddings (Dwibedi et al. 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.losses._masked import MASKED, logsumexp
from contrasweep.trainers.losses._pairs import unit
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Count, Positive, Reduction

_BLOCK = 64
"""Rows that are compared with the queue at once: bounds the memory of a long queue."""


@register("nnclr")
class NNCLR(Loss):
    """Each view's neighbour predicts the other view of its sample ("With a Little Help from My Friends"):

        l_i = - log( exp(NN(z_i, Q) . p_i' / temperature) / sum_k exp(NN(z_i, Q) . p_k' / temperature) )

    with p' the predictions from the other view, at length 1, and k over the B samples of the batch; the mean over
    samples and over both views, as in the paper's algorithm. Labels are not read. With groups, k runs over the own
    group, and so do neighbours and the statistics of the batch norm; a sample alone in its group is left out.

    - Q holds the latest `queue_size` unit embeddings of view 0, filled by `remember`; never more than there are
      `train_labels`. A neighbour carries no gradient. While Q has no entry (of the group) an embedding is its own
      neighbour, with gradient: contrast with a prediction head and no queue.
    - The prediction head is Linear -> batch norm -> ReLU -> Linear, with `hidden` channels; its batch norm always
      takes the statistics of the batch at hand, since nothing is evaluated with it.
    - `width` is the number of columns of z. Without it, outside training, head and queue are made when first
      needed, the head from a seed of its own.

    A queue as long as the training split holds past embeddings of the sample itself too.

    >>> import torch
    >>> loss = NNCLR(hidden=16, queue_size=100)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 20.0, 30.0]), views=2).shape
    torch.Size([])
    """

    features = "encoder"
    min_views = 2
    needs_labels = False

    def __init__(
        self,
        *,
        temperature: Positive = 0.1,
        hidden: Count = 4096,
        queue_size: Count = 98304,
        reduction: Reduction = "mean",
        width: int | None = None,
        train_labels: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.hidden = hidden
        self.reduction = reduction
        self.queue_size = queue_size if train_labels is None else min(queue_size, len(train_labels))
        self.head = None if width is None else _PredictionHead(width, hidden)
        self.queue = None if width is None else _Queue(self.queue_size, width)

    def compute(self, rows: Rows) -> Tensor:
        z = unit(rows.z)
        group = torch.zeros_like(rows.y, dtype=torch.int64) if rows.group is None else rows.group
        neighbours = z if self.queue is None else self.queue.nearest(z, group)
        predictions = unit(self._predict(rows.z, group))

        anchors, targets = (x.unflatten(0, (rows.views, -1)) for x in (neighbours, predictions))
        logits = anchors @ targets.roll(-1, 0).mT / self.temperature
        group = group[: logits.shape[1]]
        apart = (group[:, None] != group[None, :]).to(z.dtype)
        log_sums = logsumexp(logits.flatten(0, 1), (MASKED * apart).repeat(rows.views, 1))
        values = log_sums - logits.diagonal(dim1=1, dim2=2).flatten()
        return reduce_anchors(values, ((1 - apart).sum(1) > 1).repeat(rows.views), self.reduction)

    @torch.no_grad()
    def remember(self, rows: Rows) -> None:
        """Put the unit embeddings of view 0 into the queue, over its oldest entries."""
        if self.queue is None:
            self.queue = _Queue(self.queue_size, rows.z.shape[1]).to(rows.z.device)
        samples = len(rows.z) // rows.views
        group = torch.zeros_like(rows.y, dtype=torch.int64) if rows.group is None else rows.group
        self.queue.put(unit(rows.z[:samples]), group[:samples])

    def _predict(self, z: Tensor, group: Tensor) -> Tensor:
        """Predictions [N, D] of embeddings z [N, D], the head seeing one group at a time."""
        if self.head is None:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)  # torch.manual_seed would reseed GPUs as well
                self.head = _PredictionHead(z.shape[1], self.hidden).to(z.device)
        predictions = torch.zeros_like(z)
        for g in group.unique():
            own = (group == g).nonzero().squeeze(1)
            predictions = predictions.index_copy(0, own, self.head(z[own]))
        return predictions


class _PredictionHead(nn.Module):
    """Linear -> batch norm -> ReLU -> Linear, computed in the precision of what it is given: [N, D] -> [N, D]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width)
        self.scale, self.shift = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))

    def forward(self, z: Tensor) -> Tensor:
        x = F.linear(z, self.first.weight.to(z))
        # torch's own batch norm refuses a single row
        x = (x - x.mean(0)) * (x.var(0, correction=0) + 1e-5).rsqrt()
        x = F.relu(x * self.scale.to(z) + self.shift.to(z))
        return F.linear(x, self.last.weight.to(z), self.last.bias.to(z))


class _Queue(nn.Module):
    """The latest `size` rows that were put in, with their groups."""

    rows: Tensor
    group: Tensor
    put_in: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("group", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("put_in", torch.zeros((), dtype=torch.int64))

    def put(self, rows: Tensor, group: Tensor) -> None:
        """Add rows [b, D] and their groups [b], the first of them as the oldest."""
        size = len(self.rows)
        places = (self.put_in + torch.arange(len(rows), device=rows.device))[-size:] % size
        self.rows[places] = rows[-size:].to(self.rows)
        self.group[places] = group[-size:].to(self.group)
        self.put_in += len(rows)

    def nearest(self, z: Tensor, group: Tensor) -> Tensor:
        """The entry nearest to each unit row of z [N, D] in its group [N]; the row itself where there is none."""
        filled = torch.arange(len(self.rows), device=z.device) < self.put_in
        blocks = zip(z.split(_BLOCK), group.split(_BLOCK), strict=True)
        return torch.cat([self._nearest(own, filled & (self.group == of[:, None])) for own, of in blocks])

    def _nearest(self, z: Tensor, allowed: Tensor) -> Tensor:
        """As `nearest`, out of the entries that `allowed` [n, size] marks for each row of z [n, D]."""
        with torch.no_grad():
            best = (z @ self.rows.to(z).T).masked_fill_(~allowed, MASKED).argmax(1)
        return torch.where(allowed.any(1, keepdim=True), self.rows[best].to(z), z)
