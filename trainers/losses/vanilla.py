"""Direct regression, trained end to end: the baseline of both papers."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from trainers.losses import _checks
from trainers.losses.base import Loss, Rows, register

_KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "mse": F.mse_loss, "huber": F.huber_loss}


@register("vanilla")
class Vanilla(Loss):
    """Mean error of predictions z [N, 1] in label units: absolute (`l1`), squared (`mse`) or Huber with a bend at 1.

    >>> import torch
    >>> float(Vanilla()(torch.tensor([[30.0], [44.0]]), torch.tensor([31.0, 41.0])))
    2.0
    """

    features = "encoder"
    end_to_end = True

    def __init__(self, *, kind: Literal["l1", "mse", "huber"] = "l1") -> None:
        super().__init__()
        _checks.require_one_of(self.name, "kind", kind, _KINDS)
        self.kind = kind

    def compute(self, rows: Rows) -> Tensor:
        return _KINDS[self.kind](rows.z.squeeze(1), rows.y.to(rows.z.dtype))
