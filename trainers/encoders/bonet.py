"""The image network of BoNet (Escobar 2019) for bone age: an Inception-v3 (Szegedy 2016) on one grey channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, cast

import torch
from torch import Tensor, nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled


@dataclass(frozen=True)
class Convolve:
    """Convolution, BatchNorm and ReLU, as published at width 1; with a stride, or not `padded`, edges are lost."""

    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True)
class Mix:
    """Branches side by side, whose channels are put together."""

    branches: Sequence[Sequence["Layer"]]


@dataclass(frozen=True)
class Average:
    """Mean over 3 x 3 pixels, at every pixel."""


@dataclass(frozen=True)
class Maximum:
    """Maximum over 3 x 3 pixels, at every second pixel."""


Layer: TypeAlias = Convolve | Mix | Average | Maximum

SQUARE, WIDE, TALL = (3, 3), (1, 7), (7, 1)
FLAT, UPRIGHT = (1, 3), (3, 1)

STEM: list[Layer] = [
    Convolve(32, SQUARE, stride=2),
    Convolve(32, SQUARE, padded=False),
    Convolve(64, SQUARE),
    Maximum(),
    Convolve(80),
    Convolve(192, SQUARE, padded=False),
    Maximum(),
]
TO_768_CHANNELS = Mix(
    [
        [Convolve(384, SQUARE, stride=2)],
        [Convolve(64), Convolve(96, SQUARE), Convolve(96, SQUARE, stride=2)],
        [Maximum()],
    ]
)
TO_1280_CHANNELS = Mix(
    [
        [Convolve(192), Convolve(320, SQUARE, stride=2)],
        [Convolve(192), Convolve(192, WIDE), Convolve(192, TALL), Convolve(192, SQUARE, stride=2)],
        [Maximum()],
    ]
)


def fine(pooled: int) -> Mix:
    """Figure 5 of Szegedy 2016, on the finest grid."""
    return Mix(
        [
            [Convolve(64)],
            [Convolve(48), Convolve(64, (5, 5))],
            [Convolve(64), Convolve(96, SQUARE), Convolve(96, SQUARE)],
            [Average(), Convolve(pooled)],
        ]
    )


def middle(inner: int) -> Mix:
    """Figure 6 of Szegedy 2016: 7 x 7 pixels by rows and columns."""
    twice = [Convolve(inner, TALL), Convolve(inner, WIDE), Convolve(inner, TALL)]
    return Mix(
        [
            [Convolve(192)],
            [Convolve(inner), Convolve(inner, WIDE), Convolve(192, TALL)],
            [Convolve(inner), *twice, Convolve(192, WIDE)],
            [Average(), Convolve(192)],
        ]
    )


def coarse() -> Mix:
    """Figure 7 of Szegedy 2016, on the coarsest grid."""
    spread = Mix([[Convolve(384, FLAT)], [Convolve(384, UPRIGHT)]])
    return Mix(
        [
            [Convolve(320)],
            [Convolve(384), spread],
            [Convolve(448), Convolve(384, SQUARE), spread],
            [Average(), Convolve(192)],
        ]
    )


def plan(depth: float) -> list[Layer]:
    """Stem and blocks; `depth` repeats or leaves out blocks of each grid, evenly."""
    return [
        *STEM,
        *(fine(pooled) for pooled in stretched((32, 64, 64), depth)),
        TO_768_CHANNELS,
        *(middle(inner) for inner in stretched((128, 160, 160, 192), depth)),
        TO_1280_CHANNELS,
        *(coarse() for _ in stretched((2048, 2048), depth)),
    ]


def stretched(published: Sequence[int], depth: float) -> list[int]:
    """What is published for each block, for `depth` times as many blocks.

    >>> stretched((32, 64, 64), 2)
    [32, 32, 64, 64, 64, 64]
    """
    (count,) = scaled([len(published)], depth)
    return [published[i * len(published) // count] for i in range(count)]


class Mixed(nn.Module):
    """Channels of all branches put together."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([branch(images) for branch in self.branches], 1)


def sequence(inputs: int, layers: Sequence[Layer], width: float) -> tuple[nn.Sequential, int]:
    """`layers` in a row for `inputs` channels, and the channels that come out."""
    modules = []
    for layer in layers:
        module, inputs = _module(inputs, layer, width)
        modules.append(module)
    return nn.Sequential(*modules), inputs


def _module(inputs: int, layer: Layer, width: float) -> tuple[nn.Module, int]:
    match layer:
        case Average():
            return nn.AvgPool2d(3, stride=1, padding=1), inputs
        case Maximum():
            return nn.MaxPool2d(3, stride=2), inputs
        case Mix(branches):
            parts = [sequence(inputs, branch, width) for branch in branches]
            return Mixed([part for part, _ in parts]), sum(outputs for _, outputs in parts)
        case Convolve():
            return _convolution(inputs, layer, width)


def _convolution(inputs: int, layer: Convolve, width: float) -> tuple[nn.Module, int]:
    (outputs,) = scaled([layer.channels], width)
    rows, columns = layer.kernel
    padding = (rows // 2, columns // 2) if layer.padded and layer.stride == 1 else 0
    convolution = nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, padding, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=0.001), nn.ReLU(inplace=True)), outputs


@register("bonet")
class BoNet(nn.Module):
    """Inception-v3 without auxiliary and main classifier: X-rays [N, C, H, W] -> [N, 2048 * width].

    Channels times `width`; three, four and two mixed blocks on the three grids, times `depth`. BoNet adds to it what
    is not in images: the child's sex, in front of its regressor, and maps of the hand's joints, on a second stem;
    both are left out. It flattens a mean over 2 x 2 pixels, which ties it to images of 500 x 500 pixels;
    here the mean is over the whole image. Its weights all start with standard deviation 0.1, from which features grow
    to 1e8 where a run is too short for BatchNorm's running statistics; here they start as those of the ResNets.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (2,)
    narrowest: ClassVar[int] = 32
    least_side: ClassVar[int] = 75

    def __init__(self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self.layers, self.feature_dim = sequence(image_shape[0], plan(depth), width)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images).mean((2, 3)))
