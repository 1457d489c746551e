"""Encoder and head as one module."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from trainers import encoders, losses
from trainers.config import RunConfig
from trainers.errors import UserError


class Embedded(NamedTuple):
    """What the model makes of a batch: `output` [N, D] goes to the loss, `features` [N, F] to the probe."""

    output: Tensor
    features: Tensor


class Prediction(nn.Module):
    """A linear head in the label's own unit: [N, F] -> [N, 1], starting near the mean of the training labels."""

    def __init__(self, features: int, label_mean: float, label_std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.register_buffer("label_mean", torch.tensor(label_mean, dtype=torch.float32))
        self.register_buffer("label_std", torch.tensor(label_std, dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        """Labels [N, 1] of features [N, F]."""
        return cast(Tensor, self.label_mean + self.label_std * self.linear(features).float())


class Network(nn.Module):
    """Encoder, then projection or prediction head.

    Args:
        encoder: images [N, C, *spatial] -> [N, F].
        head: [N, F] -> [N, D].
        features: what the probe reads: the `encoder`'s features, or the L2-normalised `projection`,
            or the head's plain `output` where the head predicts the label itself.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, features: str) -> None:
        super().__init__()
        self.encoder, self.head, self.features = encoder, head, features

    def forward(self, images: Tensor) -> Embedded:
        """Embed images [N, C, *spatial]."""
        encoded = self.encoder(images)
        output = self.head(encoded)
        if self.features == "encoder":
            return Embedded(output, encoded)
        return Embedded(output, output if self.features == "output" else nn.functional.normalize(output.float()))


def build_model(run: RunConfig, image_shape: tuple[int, ...], label_mean: float, label_std: float) -> Network:
    """The network of a configuration, not yet on a device.

    Weights are drawn from torch's global generator. The projection head is Linear -> ReLU -> Linear
    (SupReMix, appendix C.1.1). Raises UserError where images [C, *spatial] are not of the configured dimensions.
    """
    config = run.model
    loss = cast(type[losses.Loss], losses.get(run.method.name))
    dims = len(image_shape) - 1
    if dims != config.spatial_dims:
        raise UserError(
            f"model.spatial_dims is {config.spatial_dims}; allowed for prepared images {list(image_shape)}: {dims}"
        )
    encoder = encoders.build(
        config.encoder, spatial_dims=config.spatial_dims, in_channels=image_shape[0], width=config.width
    )
    width = cast(int, encoder.feature_dim)
    if loss.end_to_end:
        return Network(encoder, Prediction(width, label_mean, label_std), "output")
    head = nn.Sequential(
        nn.Linear(width, config.head_hidden), nn.ReLU(), nn.Linear(config.head_hidden, config.embedding)
    )
    return Network(encoder, head, loss.features if config.features == "published" else config.features)
