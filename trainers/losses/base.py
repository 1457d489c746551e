"""What every loss is: a module that maps embeddings and labels of the global batch to one number."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from trainers.errors import UserError
from trainers.registry import Registry

LossClass = TypeVar("LossClass", bound="type[Loss]")

LOSSES: Registry["Loss"] = Registry("loss", "trainers.losses")


def register(name: str) -> Callable[[LossClass], LossClass]:
    """Class decorator: make a loss buildable as `name`, which its messages carry."""

    def add(loss: LossClass) -> LossClass:
        loss.name = name
        LOSSES.register(name)(loss)
        return loss

    return add


@dataclass(frozen=True)
class Rows:
    """The checked rows of one global batch: view 0 of all samples, then view 1, N = views * B.

    z [N, D] is float32 or float64; y [N] keeps its own precision; group [N] and mix_ratio [N, N] are optional.
    """

    z: Tensor
    y: Tensor
    epoch: int
    views: int
    group: Tensor | None
    mix_ratio: Tensor | None


class Loss(nn.Module, ABC):
    """Base of all losses; a loss implements `compute` and registers itself in one file of this package.

    `features` is what the method's probe reads as published. `end_to_end` losses read predictions
    [N, 1] in label units instead of embeddings, and need no probe.
    """

    name: ClassVar[str]
    features: ClassVar[Literal["projection", "encoder"]] = "projection"
    end_to_end: ClassVar[bool] = False

    @abstractmethod
    def compute(self, rows: Rows) -> Tensor:
        """The loss of checked rows, a scalar; runs outside autocast."""

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
        labels that are not finite.
        """
        self._check(z, y, views, group, mix_ratio)
        with torch.autocast(z.device.type, enabled=False):
            z = z if z.dtype == torch.float64 else z.float()
            return self.compute(Rows(z, y, epoch, views, group, mix_ratio))

    def _check(self, z: Tensor, y: Tensor, views: int, group: Tensor | None, mix_ratio: Tensor | None) -> None:
        n = len(z)
        width = "1" if self.end_to_end else "D"
        if z.ndim != 2 or not z.is_floating_point() or (self.end_to_end and z.shape[1] != 1):
            self._refuse(f"z is {z.dtype} {list(z.shape)}; allowed: floating point [N, {width}]")
        for name, value, shape in (("y", y, (n,)), ("group", group, (n,)), ("mix_ratio", mix_ratio, (n, n))):
            if value is not None and value.shape != shape:
                self._refuse(f"{name} has shape {list(value.shape)}; allowed with {n} rows of z: {list(shape)}")
        if views < 1 or n % views:
            self._refuse(f"views is {views}; allowed: a divisor of the {n} rows of z")
        if not torch.isfinite(y).all():
            self._refuse(f"y has {int((~torch.isfinite(y)).sum())} labels that are not finite; allowed: finite numbers")

    def _refuse(self, problem: str) -> None:
        raise UserError(f"loss '{self.name}': {problem}")
