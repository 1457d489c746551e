"""Regression heads: from features to the label, and the errors that they are trained by."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.probes.head import HeadProbe

Kind: TypeAlias = Literal["l1", "mse", "huber", "dex"]

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
    """Deep expectation: a distribution over label bins, trained as a classifier, whose expectation is the prediction.

    The centres of the bins divide the range of `labels` [n] evenly; logits start as a normal distribution of
    the labels' mean and deviation.
    """

    centres: Tensor

    def __init__(self, labels: Tensor, bins: int) -> None:
        super().__init__()
        low, high = labels.min().item(), labels.max().item()
        centres = torch.linspace(low, high, bins, dtype=torch.float64, device=labels.device)
        self.columns = bins
        self.register_buffer("centres", centres, persistent=False)
        prior = ((centres - labels.mean()) / _deviation(labels)).square() / -2
        self.register_buffer("offset", prior, persistent=False)

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        nearest = (y[:, None] - self.centres).abs().argmin(1)
        return F.cross_entropy(outputs, nearest, reduction="none")

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1) @ self.centres.to(outputs.dtype)


def readout(kind: Kind, labels: Sequence[float] | Tensor, *, bend: float = 1.0, bins: int = 101) -> Readout:
    """How outputs are read with the error `kind`, over the training `labels` [n].

    - `l1` |f - y|, `mse` (f - y)^2.
    - `huber`: (f - y)^2 / (2 bend) up to `bend`, then |f - y| - bend / 2: the form of Yang et al. 2021, whose slope
      is that of `l1` for any bend. `bend` is in label units; 1 is their default, and PyTorch's.
    - `dex` (Rothe et al. 2018, deep expectation): cross-entropy of `bins` logits with the bin nearest to y, as there
      ages are rounded to years. Predicts sum_k softmax(f)_k c_k over the bins' centres c.
    """
    values = torch.as_tensor(labels, dtype=torch.float64)
    return BinReadout(values, bins) if kind == "dex" else PointReadout(values, kind, bend)


class RegressionHead(nn.Module):
    """A linear layer in the label's own unit: features [N, F] -> outputs [N, K] -> labels [N].

    It starts near the mean of the training `labels` [n] and moves in their standard deviations, so that one
    learning rate suits any unit. The other arguments are those of `readout`.

    >>> head = RegressionHead(8, labels=[20.0, 50.0, 80.0])
    >>> head.predict(head(torch.zeros(4, 8))).shape
    torch.Size([4])
    """

    def __init__(
        self,
        features: int,
        labels: Sequence[float] | Tensor,
        kind: Kind = "l1",
        *,
        bend: float = 1.0,
        bins: int = 101,
    ) -> None:
        super().__init__()
        self.readout = readout(kind, labels, bend=bend, bins=bins)
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
