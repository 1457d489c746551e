"""Encoder and head as one module."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from contrasweep.trainers.config import FeatureSpace, ModelConfig


class Embedded(NamedTuple):
    """What the network makes of a batch: `output` [N, D] goes to the loss, `features` [N, F] to the probe."""

    output: Tensor
    features: Tensor


class Network(nn.Module):
    """Encoder, then a head where the method trains one.

    Args:
        encoder: images [N, C, *spatial] -> [N, F].
        head: [N, F] -> [N, D]; None where the loss reads the encoder's features themselves.
        features: what the probe reads: the `encoder`'s features, or the L2-normalised `projection`.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module | None, features: FeatureSpace) -> None:
        super().__init__()
        self.encoder, self.head, self.features = encoder, head, features
        self.feature_spaces: tuple[FeatureSpace, ...] = ("encoder", "projection") if head else ("encoder",)

    def embed(self, images: Tensor) -> dict[FeatureSpace, Tensor]:
        """Features [N, F] of images [N, C, *spatial] in each space that there is; in `features`, those of `forward`."""
        encoded = self.encoder(images)
        if self.head is None or "projection" not in self.feature_spaces:
            return {"encoder": encoded}
        return {"encoder": encoded, "projection": nn.functional.normalize(self.head(encoded).float())}

    def forward(self, images: Tensor) -> Embedded:
        """Embed images [N, C, *spatial]."""
        encoded = self.encoder(images)
        if self.head is None:
            return Embedded(encoded, encoded)
        output = self.head(encoded)
        return Embedded(output, encoded if self.features == "encoder" else nn.functional.normalize(output.float()))


class JointNetwork(Network):
    """In training, `output` is the projection with the encoder's features behind it: [N, D + F]; these are probed."""

    head: nn.Module

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__(encoder, head, "encoder")

    def forward(self, images: Tensor) -> Embedded:
        """Embed images [N, C, *spatial]."""
        embedded = super().forward(images)
        if not self.training:
            return embedded
        return Embedded(torch.cat([embedded.output, embedded.features], dim=1), embedded.features)


def projection_head(encoder: nn.Module, model: ModelConfig) -> nn.Module:
    """Linear -> ReLU -> Linear (SupReMix, appendix C.1.1): [N, F] -> [N, model.embedding]."""
    features = cast(int, encoder.feature_dim)
    return nn.Sequential(
        nn.Linear(features, model.head_hidden), nn.ReLU(), nn.Linear(model.head_hidden, model.embedding)
    )
