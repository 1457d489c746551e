"""What every loss is: a module that maps embeddings and labels of the global batch to one number."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from contrasweep.trainers.config import FeatureSpace, ModelConfig
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.network import Network, projection_head
from contrasweep.trainers.probes import Probe
from contrasweep.trainers.registry import Registry

LossClass = TypeVar("LossClass", bound="type[Loss]")

LOSSES: Registry["Loss"] = Registry("loss", "contrasweep.trainers.losses")


def register(name: str) -> Callable[[LossClass], LossClass]:
    """Class decorator: make a loss buildable as `name`, which its messages carry."""

    def add(loss: LossClass) -> LossClass:
        loss.name = name
        LOSSES.register(name)(loss)
        return loss

    return add


class Rows(NamedTuple):
    """The rows of one global batch: view 0 of all samples, then view 1, N = views * B.

    z [N, D] is float32 or float64 once checked; y [N] keeps its own precision; group [N] and mix_ratio [N, N]
    are optional. They are the arguments of a loss, in order.
    """

    z: Tensor
    y: Tensor
    epoch: int
    views: int
    group: Tensor | None
    mix_ratio: Tensor | None


class Samples(NamedTuple):
    """This worker's rows before the network: images [N, C, *S], labels y [N], covariates [N, K] or None."""

    images: Tensor
    y: Tensor
    covariates: Tensor | None


class Loss(nn.Module, ABC):
    """Base of all losses; a loss implements `compute` and registers itself in one file of this package.

    A loss may own parameters, which are trained with the network's, and buffers of fixed shape, which are saved
    with them; it sees the global batch, so that both are the same on every worker.

    Attributes:
        features: what the method's probe reads as published.
        reads: what z is: the projection head's output, or the encoder's own features; then no head is built.
        columns: how many columns z must have; None where any number will do.
        end_to_end: trains its own regression head, which `probe` returns.
        min_views: the least number of views of each sample that the method is made for.
        needs_labels: whether labels are read; where they are not, they may be nan.
    """

    name: ClassVar[str]
    features: ClassVar[Literal["projection", "encoder"]] = "projection"
    min_views: ClassVar[int] = 1
    needs_labels: ClassVar[bool] = True
    reads: Literal["projection", "encoder"] = "projection"
    columns: int | None = None
    end_to_end: bool = False

    @abstractmethod
    def compute(self, rows: Rows) -> Tensor:
        """The loss of checked rows, a scalar; runs outside autocast. Random draws apart, it depends on nothing else."""

    def network(self, encoder: nn.Module, model: ModelConfig) -> Network:
        """What makes z of images: `encoder`, and a projection head where z is a projection."""
        head = None if self.reads == "encoder" else projection_head(encoder, model)
        return Network(encoder, head, self.space(model))

    def space(self, model: ModelConfig) -> FeatureSpace:
        """The features that the probe reads."""
        if self.reads == "encoder":
            return "encoder"
        return self.features if model.features == "published" else model.features

    def mix(self, samples: Samples, group: Tensor | None, views: int) -> Samples:
        """This worker's rows, in groups [views * b], as the network and the loss shall see them.

        torch's generator is in the same state on every worker.
        """
        return samples

    def remember(self, rows: Rows) -> None:
        """Take note of a batch, z detached, after the step on it."""

    def end_epoch(self, epoch: int) -> None:
        """Take note that `epoch` is over."""

    def probe(self) -> Probe | None:
        """The regression head that was trained along, where there is one."""
        return None

    def forward(
        self,
        z: Tensor,
        y: Tensor,
        epoch: int = 0,
        views: int = 1,
        group: Tensor | None = None,
        mix_ratio: Tensor | None = None,
    ) -> Tensor:
        """Loss of the global batch, a scalar in float32 (float64 where z is).

        z [N, D] embeddings, normalised here where the method says so; y [N] labels in their own unit;
        epoch counts from 0; rows are stacked view by view; pairs form only inside a group [N];
        mix_ratio [N, N] replaces the random mixing ratios. Raises UserError on wrong shapes and on
        labels that are not finite, where they are read.
        """
        self._check(z, y, views, group, mix_ratio)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            return self.compute(Rows(z, y, epoch, views, group, mix_ratio))

    def _check(self, z: Tensor, y: Tensor, views: int, group: Tensor | None, mix_ratio: Tensor | None) -> None:
        n = len(z)
        if z.ndim != 2 or not z.is_floating_point() or self.columns not in (None, z.shape[1]):
            self._refuse(f"z is {z.dtype} {list(z.shape)}; allowed: floating point [N, {self.columns or 'D'}]")
        for name, value, shape in (("y", y, (n,)), ("group", group, (n,)), ("mix_ratio", mix_ratio, (n, n))):
            if value is not None and value.shape != shape:
                self._refuse(f"{name} has shape {list(value.shape)}; allowed with {n} rows of z: {list(shape)}")
        if views < 1 or n % views:
            self._refuse(f"views is {views}; allowed: a divisor of the {n} rows of z")
        if self.needs_labels and not torch.isfinite(y).all():
            self._refuse(f"y has {int((~torch.isfinite(y)).sum())} labels that are not finite; allowed: finite numbers")

    def _refuse(self, problem: str) -> None:
        raise UserError(f"loss '{self.name}': {problem}")
