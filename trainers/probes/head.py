"""A trained regression head, frozen."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from contrasweep.trainers.probes.base import FITTED


@FITTED.register("head")
@dataclass(frozen=True)
class HeadProbe:
    """A linear map, and where it has one output for each label bin, the softmax expectation over the bins.

    Attributes:
        weight: [K, F] float64. bias: [K].
        centres: [K] labels of the bins; None where the one output, K = 1, is the label.

    >>> import torch
    >>> HeadProbe(torch.tensor([[2.0]]).double(), torch.tensor([1.0]).double()).predict(torch.tensor([[3.0]]))
    tensor([7.], dtype=torch.float64)
    """

    weight: Tensor
    bias: Tensor
    centres: Tensor | None = None

    def predict(self, features: Tensor) -> Tensor:
        """Labels [N] of features [N, F]."""
        outputs = features.double() @ self.weight.T + self.bias
        return outputs.squeeze(1) if self.centres is None else outputs.softmax(1) @ self.centres

    def state(self) -> dict[str, Any]:
        """Its tensors by name."""
        return {"kind": "head"} | {name: tensor for name, tensor in vars(self).items() if tensor is not None}
