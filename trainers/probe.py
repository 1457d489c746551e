"""Probes: from the frozen embedding to the label."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

PENALTIES = torch.logspace(-3, 6, 28, dtype=torch.float64)

CONSTANT = 1e-6
"""Features that vary less than this, beside their size, only vary by rounding; they are not blown up."""


class Probe(Protocol):
    """Predicts labels [N] from features [N, F]; its state is plain tensors and strings."""

    def predict(self, features: Tensor) -> Tensor:
        """Labels [N], float64."""
        ...

    def state(self) -> dict[str, Any]:
        """What `load_probe` needs to build it again."""
        ...


@dataclass(frozen=True)
class RidgeProbe:
    """Ridge regression on standardised features.

    Attributes:
        mean, scale: [F], of the training features.
        weight: [F]. intercept: scalar. penalty: the one chosen on validation.
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


@dataclass(frozen=True)
class DirectProbe:
    """No probe: the head of an end-to-end network predicts the label itself, [N, 1] -> [N]."""

    def predict(self, features: Tensor) -> Tensor:
        """The head's own output."""
        return features.double().squeeze(1)

    def state(self) -> dict[str, Any]:
        """Nothing but its kind."""
        return {"kind": "direct"}


def fit_ridge(features: Tensor, labels: Tensor, held_out: Tensor, held_out_labels: Tensor) -> RidgeProbe:
    """Closed-form ridge for every penalty of a grid at once; the one with the least held-out MAE is kept.

    One eigendecomposition of the [F, F] Gram matrix serves all penalties, so that fitting after every
    epoch costs little beside the epoch.

    Args:
        features, held_out: [N, F] and [M, F], training and validation.
        labels, held_out_labels: [N] and [M].
    """
    features, labels = features.double(), labels.double()
    mean, scale = features.mean(0), features.std(0, correction=0)
    scale = torch.where(scale > CONSTANT * features.abs().amax(0), scale, 1.0)
    standardised = (features - mean) / scale
    intercept = labels.mean()
    eigenvalues, vectors = torch.linalg.eigh(standardised.T @ standardised)
    target = vectors.T @ (standardised.T @ (labels - intercept))
    shrunk = target[:, None] / (eigenvalues.clamp_min(0)[:, None] + PENALTIES.to(target.device))
    weights_fp = vectors @ shrunk
    errors = ((held_out.double() - mean) / scale @ weights_fp + intercept - held_out_labels.double()[:, None]).abs()
    chosen = int(errors.mean(0).argmin())
    return RidgeProbe(mean, scale, weights_fp[:, chosen], intercept, PENALTIES[chosen])


def load_probe(state: dict[str, Any]) -> Probe:
    """A probe from its state."""
    tensors = dict(state)
    return RidgeProbe(**tensors) if tensors.pop("kind") == "ridge" else DirectProbe()
