"""Simple Fully Convolutional Network (Peng 2021) for brain age."""

from typing import ClassVar, cast

from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled


def convolution(dims: int, inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Convolution with a bias that keeps the image's size, and its BatchNorm."""
    return [
        Conv[Conv.CONV, dims](inputs, outputs, kernel, padding=kernel // 2),
        Norm[Norm.BATCH, dims](outputs),
    ]


@register("sfcn")
class SFCN(nn.Module):
    """SFCN without its classifier: slices or volumes [N, C, *S] -> [N, 64 * width].

    Five stages of 3-convolution, BatchNorm, max-pool 2 and ReLU with 32-64-128-256-256 channels, one 1-convolution
    to 64, average over what is left of the image (Peng 2021, Fig. 1); channels times `width`. `depth` is the number
    of convolutions in each stage, published as one. The dropout belongs to the classifier, and is left out with it.
    Poolings keep what is over at an image's edge, so that it takes images of any size; sides that are multiples
    of 32, as the published 160 x 192 x 160, have nothing over.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (2, 3)
    narrowest: ClassVar[int] = 32

    def __init__(self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        inputs, dims = image_shape[0], len(image_shape) - 1
        *stages, self.feature_dim = scaled((32, 64, 128, 256, 256, 64), width)
        layers: list[nn.Module] = []
        for outputs in stages:
            for _ in range(scaled([1], depth)[0] - 1):
                layers += [*convolution(dims, inputs, outputs, 3), nn.ReLU(inplace=True)]
                inputs = outputs
            layers += [
                *convolution(dims, inputs, outputs, 3),
                Pool[Pool.MAX, dims](2, ceil_mode=True),
                nn.ReLU(inplace=True),
            ]
            inputs = outputs
        layers += [*convolution(dims, inputs, self.feature_dim, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, Pool[Pool.ADAPTIVEAVG, dims](1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))
