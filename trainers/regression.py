"""Regression heads: from features to the label, and the errors that they are trained by."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.probes.head import HeadProbe

Kind: TypeAlias = Literal["l1", "mse", "huber", "dex", "soft"]

_REACH = 3.0
"""How many of their deviations soft labels have room for beyond the training labels."""

_POINT_ERRORS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "l1": lambda predicted, y, bend: F.l1_loss(predicted, y, reduction="none"),
    "mse": lambda predicted, y, bend: F.mse_loss(predicted, y, reduction="none"),
    "huber": lambda predicted, y, bend: F.smooth_l1_loss(predicted, y, reduction="none", beta=bend),
}


class Readout(nn.Module, ABC):
    """What a head's outputs [N, K] say of the label, and how wrong they are.

    Attributes:
        offset: [K], where outputs start. scale: by how much a head's weights move them.
        columns: K.
    """

    offset: Tensor
    scale: float = 1.0
    columns: int = 1

    @abstractmethod
    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The error [N] of outputs [N, K] at labels y [N], in the outputs' precision."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Labels [N] of outputs [N, K]."""


class PointReadout(Readout):
    """The one output is the label itself; it starts at the mean of `labels` [n], and moves by their deviation."""

    def __init__(self, labels: Tensor, kind: str, bend: float) -> None:
        super().__init__()
        self.error, self.bend = _POINT_ERRORS[kind], bend
        self.register_buffer("offset", labels.mean().reshape(1), persistent=False)
        self.scale = _deviation(labels)

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.error(outputs.squeeze(1), y.to(outputs.dtype), self.bend)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(1)


class BinReadout(Readout):
    """A distribution over label bins, trained as a classifier, whose expectation is the prediction.

    Logits start as a normal distribution of the mean and deviation of `labels` [n] over the bins' `centres` [K].
    """

    centres: Tensor

    def __init__(self, labels: Tensor, centres: Tensor) -> None:
        super().__init__()
        self.columns = len(centres)
        self.register_buffer("centres", centres, persistent=False)
        prior = ((centres - labels.mean()) / _deviation(labels)).square() / -2
        self.register_buffer("offset", prior, persistent=False)

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        nearest = (y[:, None] - self.centres).abs().argmin(1)
        return F.cross_entropy(outputs, nearest, reduction="none")

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1) @ self.centres.to(outputs.dtype)


class SoftReadout(BinReadout):
    """Soft labels: the distribution is that of a normal one about the label, and the error is the divergence from it.

    Bins of `width` reach three of its deviations `sd` beyond the `labels` [n], so that its expectation is the label
    everywhere; the first and the last bin have what is still outside.
    """

    edges: Tensor

    def __init__(self, labels: Tensor, width: float, sd: float) -> None:
        low, high = labels.min().item() - _REACH * sd, labels.max().item() + _REACH * sd
        bins = math.ceil((high - low) / width - 1e-9) + 1  # rounding makes no further one
        super().__init__(labels, low + width * torch.arange(bins, dtype=torch.float64, device=labels.device))
        self.sd = sd
        self.register_buffer("edges", self.centres[:-1] + width / 2, persistent=False)

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        below = torch.special.ndtr((self.edges - y[:, None].double()) / self.sd)
        target = F.pad(F.pad(below, (1, 0)), (0, 1), value=1.0).diff(dim=1)
        divergence = F.kl_div(outputs.log_softmax(1), target.to(outputs.dtype), reduction="none")
        return divergence.sum(1)


def readout(
    kind: Kind,
    labels: Sequence[float] | Tensor,
    *,
    bend: float = 1.0,
    bins: int = 101,
    soft_bin: float = 1.0,
    soft_sd: float = 1.0,
) -> Readout:
    """How outputs are read with the error `kind`, over the training `labels` [n].

    - `l1` |f - y|, `mse` (f - y)^2.
    - `huber`: (f - y)^2 / (2 bend) up to `bend`, then |f - y| - bend / 2: the form of Yang et al. 2021, whose slope
      is that of `l1` for any bend. `bend` is in label units; 1 is their default, and PyTorch's.
    - `dex` (Rothe et al. 2018, deep expectation): cross-entropy of `bins` logits with the bin nearest to y, as there
      ages are rounded to years. Predicts sum_k softmax(f)_k c_k over the bins' centres c, which divide the range of the
      labels evenly.
    - `soft` (SFCN, Peng et al. 2021): divergence KL(q | softmax(f)) from a normal distribution q about y with the
      deviation `soft_sd`, over bins of `soft_bin`, both in label units; 1 year is theirs. Predicts as `dex`.
    """
    values = torch.as_tensor(labels, dtype=torch.float64)
    if kind == "soft":
        return SoftReadout(values, soft_bin, soft_sd)
    if kind == "dex":
        low, high = values.min().item(), values.max().item()
        return BinReadout(values, torch.linspace(low, high, bins, dtype=torch.float64, device=values.device))
    return PointReadout(values, kind, bend)


class RegressionHead(nn.Module):
    """A linear layer in the label's own unit: features [N, F] -> outputs [N, K] -> labels [N].

    It starts near the mean of the training labels that `readout` knows and moves in their standard deviations, so that
    one learning rate suits any unit.

    >>> head = RegressionHead(8, readout("l1", [20.0, 50.0, 80.0]))
    >>> head.predict(head(torch.zeros(4, 8))).shape
    torch.Size([4])
    """

    def __init__(self, features: int, readout: Readout) -> None:
        super().__init__()
        self.readout = readout
        self.linear = nn.Linear(features, self.readout.columns)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs [N, K] of features [N, F], in the features' precision."""
        weight, bias = (parameter.to(features.dtype) for parameter in (self.linear.weight, self.linear.bias))
        moved = self.readout.scale * F.linear(features, weight, bias)
        return self.readout.offset.to(features.dtype) + moved

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The error [N] of outputs [N, K] at labels y [N]."""
        return self.readout.errors(outputs, y)

    def predict(self, outputs: Tensor) -> Tensor:
        """Labels [N] of outputs [N, K]."""
        return self.readout.predict(outputs)

    def probe(self) -> HeadProbe:
        """What the head predicts now, on the CPU."""
        weight, bias, offset = (
            tensor.detach().double().cpu() for tensor in (self.linear.weight, self.linear.bias, self.readout.offset)
        )
        centres = self.readout.centres.cpu() if isinstance(self.readout, BinReadout) else None
        return HeadProbe(self.readout.scale * weight, offset + self.readout.scale * bias, centres)


def _deviation(labels: Tensor) -> float:
    """Standard deviation of labels [n]; 1 where they are all the same."""
    return labels.std(correction=0).item() if labels.max() > labels.min() else 1.0
