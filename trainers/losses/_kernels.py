"""Degree of positiveness: log K(d) of a label distance d, with K(0) = 1, in label units.

DynLocRep, Eq. 1: w_ik = K(y_i - y_k). Logarithms keep far pairs from underflowing to zero.
"""

import warnings
from collections.abc import Callable
from typing import Literal, TypeAlias

from torch import Tensor

from contrasweep.trainers.losses._masked import MASKED

Kernel = Callable[[Tensor, float], Tensor]
KernelName: TypeAlias = Literal["rbf", "cauchy", "triangular"]
Variant: TypeAlias = Literal["paper", "reference"]


def _rbf(d: Tensor, sigma: float) -> Tensor:
    return (d / sigma).square_().mul_(-0.5).clamp_min_(MASKED)


def _cauchy(d: Tensor, sigma: float) -> Tensor:
    return (d / sigma).square_().log1p_().neg_()


def _cauchy_reference(d: Tensor, sigma: float) -> Tensor:
    return d.square().mul_(sigma).log1p_().neg_()


def _triangular(d: Tensor, sigma: float) -> Tensor:
    return (1 - d / sigma).clamp_min_(0).log_().clamp_min_(MASKED)


KERNELS: dict[str, dict[str, Kernel]] = {
    "paper": {"rbf": _rbf, "cauchy": _cauchy, "triangular": _triangular},
    "reference": {"rbf": _rbf, "cauchy": _cauchy_reference, "triangular": _triangular},
}
"""By variant and name: rbf exp(-d^2 / 2 sigma^2), cauchy 1 / (1 + (d / sigma)^2) and in the authors' code
1 / (1 + sigma d^2), triangular max(0, 1 - d / sigma)."""


def positiveness(log_positiveness: Tensor) -> Tensor:
    """w from log w; below exp(-80) it stays there, since exponentials that underflow are ten times slower."""
    return log_positiveness.clamp_min(-80).exp_()


def warn_of_flat_kernel(loss: str, sigma: float, label_range: float) -> None:
    """Warn where sigma cannot tell labels of this range apart: below a hundredth of it or above all of it."""
    if not label_range / 100 <= sigma <= label_range:
        warnings.warn(
            f"loss '{loss}': sigma {sigma:g} is outside {label_range / 100:g} to {label_range:g}, "
            f"a hundredth and the whole of the label range of the training split",
            stacklevel=3,
        )
