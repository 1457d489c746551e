"""Multi-layer perceptron for what has no neighbourhoods: connectivity matrices and vectors of features."""

import math
from typing import ClassVar, cast

from torch import Tensor, nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled
from contrasweep.trainers.parameters import BelowOne


@register("mlp")
class MLP(nn.Module):
    """All values of an image as one vector: [N, C, *S] -> [N, 256 * width].

    Each value is standardised by a BatchNorm, since they may have units of their own; then two layers times `depth` of
    256 channels times `width`, each a linear map, BatchNorm and ReLU. Rows of a connectivity matrix have no order, so
    that convolutions find nothing there; plain perceptrons are on a par with graph networks (He 2020).

    Args:
        dropout: share of the values, and of each layer's channels, left out in training.

    Raises UserError where `dropout` is not allowed.
    """

    narrowest: ClassVar[int] = 256

    def __init__(
        self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0, dropout: BelowOne = 0.25
    ) -> None:
        super().__init__()
        inputs = math.prod(image_shape)
        (self.feature_dim,), (count,) = scaled([256], width), scaled([2], depth)
        layers: list[nn.Module] = [nn.Flatten(), nn.BatchNorm1d(inputs)]
        for _ in range(count):
            layers += [
                nn.Dropout(dropout),
                nn.Linear(inputs, self.feature_dim, bias=False),
                nn.BatchNorm1d(self.feature_dim),
                nn.ReLU(),
            ]
            inputs = self.feature_dim
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))
