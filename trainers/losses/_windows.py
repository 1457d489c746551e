"""Which rows mix to the label of an anchor: one of lower and one of higher label, both inside a window of labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_TRIPLES = 1 << 15
"""Triples worked on at once: bounds the memory of a wide window, and fits a core's cache."""


@dataclass(frozen=True)
class Triples:
    """Anchors [b] with partners of lower [b, p] and of higher label [b, q], as rows of the batch, padded.

    ratio [b, p, q] is the lower partner's share; valid [b, p, q] is 1, or 0 where padded.
    """

    anchors: Tensor
    lower: Tensor
    upper: Tensor
    ratio: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Window:
    """Rows sorted by label, and for each, in that order, the places of its partners in the order.

    `order` [n] maps places to rows of the batch. The partners of lower label are [lower[0], lower[1]), those of
    higher label [upper[0], upper[1]), with lower and upper int64 [2, n].
    """

    order: Tensor
    labels: Tensor
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, y: Tensor, rows: Tensor, width: float, *, rank: bool, strict: bool) -> "Window":
        """Partners among `rows` [n] no further than `width` from each label of y [N], nearer where `strict`.

        Distances are in label units, or in ranks of the unique labels. Rounding of decimal labels does
        not move a partner over the bound.
        """
        labels, by_label = y[rows].sort(stable=True)
        places = torch.unique_consecutive(labels, return_inverse=True)[1].double() if rank else labels.double()
        slack = 4 * torch.finfo(y.dtype if y.is_floating_point() else torch.double).eps * places.abs().max()
        reach = width - slack if strict else width + slack
        return cls(
            order=rows[by_label],
            labels=labels,
            lower=torch.searchsorted(places, torch.stack([places - reach, places])),
            upper=torch.searchsorted(places, torch.stack([places, places + reach]), right=True),
        )

    @property
    def counts(self) -> Tensor:
        """How many pairs of partners each row has, [n]."""
        return (self.lower[1] - self.lower[0]) * (self.upper[1] - self.upper[0])

    def blocks(self) -> Iterator[slice]:
        """Runs of anchors in the order, of at most MAX_TRIPLES padded triples unless one anchor has more."""
        lower, upper = (self.lower[1] - self.lower[0]).tolist(), (self.upper[1] - self.upper[0]).tolist()
        start = widest_lower = widest_upper = 0
        for place, (below, above) in enumerate(zip(lower, upper, strict=True)):
            widest_lower, widest_upper = max(widest_lower, below), max(widest_upper, above)
            if place > start and (place + 1 - start) * widest_lower * widest_upper > MAX_TRIPLES:
                yield slice(start, place)
                start, widest_lower, widest_upper = place, below, above
        yield slice(start, len(lower))

    def triples(self, block: slice, dtype: torch.dtype) -> Triples:
        """Anchors of a block with their partners."""
        lower, below, lower_valid = self._partners(block, self.lower, dtype)
        upper, above, upper_valid = self._partners(block, self.upper, dtype)
        above = above[:, None, :]
        return Triples(
            anchors=self.order[block],
            lower=lower,
            upper=upper,
            ratio=above / (below[:, :, None] + above),
            valid=lower_valid[:, :, None] * upper_valid[:, None, :],
        )

    def _partners(self, block: slice, bounds: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, label distances (1 where padded) and validity [b, p] of the partners on one side."""
        start, stop = bounds[:, block, None]
        places = start + torch.arange(max(int((stop - start).max()), 1), device=start.device)
        padded = places >= stop
        places = places.masked_fill_(padded, 0)
        distances = (self.labels[places] - self.labels[block, None]).abs_().to(dtype)
        return self.order[places], distances.masked_fill_(padded, 1), (~padded).to(dtype)
