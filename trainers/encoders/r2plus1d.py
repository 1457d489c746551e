"""R(2+1)D-18 (Tran 2018): a ResNet-18 for video whose convolutions are split into space and time."""

from typing import Any, ClassVar

from monai.networks.nets.resnet import ResNet, ResNetBlock, get_inplanes
from torch import nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled


def middle_channels(inputs: int, outputs: int) -> int:
    """Channels between space and time that leave the weights of a 3 x 3 x 3 convolution (Tran 2018, section 3.5)."""
    return (inputs * outputs * 3 * 3 * 3) // (inputs * 3 * 3 + 3 * outputs)


def factorised(inputs: int, middle: int, outputs: int, *, size: int = 3, space: int = 1, time: int = 1) -> nn.Module:
    """[N, C, T, H, W]: `size` x `size` pixels with stride `space`, then three frames with stride `time`."""
    return nn.Sequential(
        nn.Conv3d(inputs, middle, (1, size, size), (1, space, space), (0, size // 2, size // 2), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, outputs, (3, 1, 1), (time, 1, 1), (1, 0, 0), bias=False),
    )


class FactorisedBlock(ResNetBlock):
    """MONAI's basic block with both convolutions factorised, through one number of middle channels."""

    def __init__(self, in_planes: int, planes: int, *, stride: int = 1, **options: Any) -> None:
        super().__init__(in_planes, planes, stride=stride, **options)
        middle = middle_channels(in_planes, planes)
        self.conv1 = factorised(in_planes, middle, planes, space=stride, time=stride)
        self.conv2 = factorised(planes, middle, planes)


@register("echonet")
@register("r2plus1d_18")
class R2Plus1D18(ResNet):
    """R(2+1)D-18 without its classifier: video [N, C, T, H, W] -> [N, 512 * width].

    Stem 7 x 7 pixels with stride 2 to 45 channels, three frames to 64, and no max-pool; four stages of two blocks
    of 64-128-256-512 channels times `width`, blocks times `depth`; average over space and time. As in torchvision's
    network of this name, both convolutions of a block share the middle channels of the first (31.3 M weights);
    the paper counts them for each convolution (33.3 M).

    `echonet` is the same network: EchoNet-Dynamic (Ouyang 2020) changes nothing in it. What else makes theirs is not
    in the encoder: 32 frames, every second one, of 112 x 112 pixels as three equal channels, Kinetics-400 weights to
    start from, and a linear head.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (3,)
    narrowest: ClassVar[int] = 45
    feature_dim: int

    def __init__(self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__(
            FactorisedBlock,
            scaled((2, 2, 2, 2), depth),
            scaled(get_inplanes(), width),
            n_input_channels=image_shape[0],
            no_max_pool=True,
            feed_forward=False,
            bias_downsample=False,
        )
        middle, stem = scaled((45, 64), width)
        self.conv1 = factorised(image_shape[0], middle, stem, size=7, space=2)  # type: ignore[assignment]
        for module in self.conv1.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.feature_dim = self.in_planes
