"""Ridge regression in closed form: the probe of the DynLocRep paper."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from contrasweep.trainers.probes._standardise import moments
from contrasweep.trainers.probes.base import FITTED, PROBES

PENALTIES = torch.logspace(-3, 6, 28, dtype=torch.float64)


@FITTED.register("ridge")
@dataclass(frozen=True)
class RidgeProbe:
    """Ridge regression on standardised features.

    Attributes:
        mean, scale: [F], of the training features.
        weight: [F]. intercept: scalar. penalty: the one that was chosen.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    intercept: Tensor
    penalty: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Labels [N] of features [N, F]."""
        standardised = (features.double() - self.mean) / self.scale
        return standardised @ self.weight + self.intercept

    def state(self) -> dict[str, Any]:
        """Its tensors by name."""
        return {"kind": "ridge", **vars(self)}


@PROBES.register("ridge")
@dataclass(frozen=True)
class Ridge:
    """Closed-form ridge for every penalty of a grid at once; the one with the least leave-one-out MAE is kept.

    Row n's residual in the fit without it is that of the fit to all rows over 1 - h_n, h being the diagonal of the hat
    matrix (Allen, 1974).

    One eigendecomposition of the [F, F] Gram matrix serves all penalties, so that fitting after every
    epoch costs little beside the epoch. Nothing is drawn at random.
    """

    def fit(self, features: Tensor, labels: Tensor, seed: int = 0) -> RidgeProbe:
        """As `Fitter.fit`."""
        features, labels = features.double(), labels.double()
        mean, scale = moments(features)
        standardised = (features - mean) / scale
        intercept = labels.mean()
        eigenvalues, vectors = torch.linalg.eigh(standardised.T @ standardised)
        target = vectors.T @ (standardised.T @ (labels - intercept))
        damped = eigenvalues.clamp_min(0)[:, None] + PENALTIES.to(target.device)
        weights_fp = vectors @ (target[:, None] / damped)
        hat = 1 / len(labels) + (standardised @ vectors).square() @ damped.reciprocal()
        errors = (standardised @ weights_fp + intercept - labels[:, None]) / (1 - hat)
        chosen = int(errors.abs().mean(0).argmin())
        return RidgeProbe(mean, scale, weights_fp[:, chosen], intercept, PENALTIES[chosen])
