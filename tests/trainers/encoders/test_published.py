"""Each network at width 1 and depth 1 has as many weights as the published one, less its classifier."""

import itertools

import pytest
import torch
from torch import nn

from contrasweep.trainers import encoders


def published(name: str, *image_shape: int) -> nn.Module:
    with torch.device("meta"):
        return encoders.build(name, image_shape)


def size(encoder: nn.Module) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def convolution(inputs: int, outputs: int, taps: int, *, bias: bool = False) -> int:
    return inputs * outputs * taps + bias * outputs


def batch_norm(*channels: int) -> int:
    return 2 * sum(channels)


# torchvision's documentation counts its networks with 1000 or 400 classes; the last figure is their features
IMAGENET = {
    "resnet18": (11_689_512, 512),
    "resnet34": (21_797_672, 512),
    "resnet50": (25_557_032, 2048),
    "densenet121": (7_978_856, 1024),
}


@pytest.mark.parametrize("name", IMAGENET)
def test_networks_for_imagenet(name: str) -> None:
    total, features = IMAGENET[name]
    encoder = published(name, 3, 224, 224)
    assert encoder.feature_dim == features
    assert size(encoder) == total - linear(features, 1000)


@pytest.mark.parametrize(("name", "features"), [("resnet18", 512), ("resnet50", 2048)])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_stem_of_resnets(name: str, features: int, dims: int) -> None:
    """SupReMix, appendix C.1.1: 7 taps along each side, stride 2, 64 channels; its 1D network has 400 regions."""
    encoder = published(name, 400 if dims == 1 else 1, *[100] * dims)
    stem = next(m for m in encoder.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    assert stem.kernel_size == (7,) * dims
    assert stem.stride == (2,) * dims
    assert (stem.in_channels, stem.out_channels) == (400 if dims == 1 else 1, 64)
    assert encoder.feature_dim == features


@pytest.mark.parametrize(("name", "layers"), [("resnet18", 18), ("resnet34", 34), ("resnet50", 50)])
def test_resnets_are_named_after_their_layers(name: str, layers: int) -> None:
    """Convolutions off the shortcuts, and the classifier, which is left out."""
    modules = published(name, 1, 64, 64).named_modules()
    assert len([key for key, m in modules if isinstance(m, nn.Conv2d) and "downsample" not in key]) == layers - 1


@pytest.mark.parametrize("name", ["r2plus1d_18", "echonet"])
def test_r2plus1d(name: str) -> None:
    """torchvision's 31 505 325 weights with Kinetics' 400 classes; Ouyang 2020 trains that network."""
    encoder = published(name, 3, 32, 112, 112)
    assert encoder.feature_dim == 512
    assert size(encoder) == 31_505_325 - linear(512, 400)


def test_the_factorised_convolutions_weigh_as_much_as_what_they_replace() -> None:
    """Tran 2018, section 3.5: 9 N_in M + 3 M N_out is just below 27 N_in N_out, where M is rounded down."""
    first, *_ = (
        m for m in published("r2plus1d_18", 3, 8, 64, 64).modules() if getattr(m, "kernel_size", 0) == (1, 3, 3)
    )
    assert isinstance(first, nn.Conv3d)
    middle, inputs = first.out_channels, first.in_channels
    full = 27 * inputs * 64
    assert 9 * inputs * middle + 3 * middle * 64 <= full < 9 * inputs * (middle + 1) + 3 * (middle + 1) * 64


@pytest.mark.parametrize(("dims", "taps"), [(2, 9), (3, 27)])
def test_sfcn(dims: int, taps: int) -> None:
    """Peng 2021, Fig. 1: in 3D 2 952 936 weights, "about 3 million", of which 64 x 40 + 40 classify into 40 ages."""
    channels = (1, 32, 64, 128, 256, 256)
    stages = sum(convolution(a, b, taps, bias=True) for a, b in itertools.pairwise(channels))
    last = convolution(256, 64, 1, bias=True)
    encoder = published("sfcn", 1, *[160] * dims)
    assert encoder.feature_dim == 64
    assert size(encoder) == stages + last + batch_norm(*channels[1:], 64)
    if dims == 3:
        assert size(encoder) + linear(64, 40) == pytest.approx(3.0e6, rel=0.02)


def test_tcn() -> None:
    """Bai 2018, Fig. 1b: two convolutions of 5 frames in each of four blocks, each with a gain per channel."""

    def weight_normed(inputs: int) -> int:
        return convolution(inputs, 150, 5, bias=True) + 150

    shortcut = convolution(400, 150, 1, bias=True)
    encoder = published("tcn", 400, 478)
    assert encoder.feature_dim == 150
    assert size(encoder) == weight_normed(400) + 7 * weight_normed(150) + shortcut


@pytest.mark.parametrize(("dims", "taps"), [(2, 9), (3, 27)])
def test_glt(dims: int, taps: int) -> None:
    """He 2021, section III: two VGG-8 of four stages, and six blocks on 512 channels."""
    stages = [(5, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    vgg8 = sum(convolution(inputs, outputs, taps) + batch_norm(outputs) for inputs, outputs in stages)
    attention = 4 * linear(512, 512)  # query, key, value, output
    feed_forward = convolution(1024, 512, 1) + convolution(512, 512, 1) + batch_norm(512, 512)
    encoder = published("glt", 5, *[130] * dims)
    assert encoder.feature_dim == 512
    assert size(encoder) == 2 * vgg8 + 6 * (attention + feed_forward)


def test_bonet() -> None:
    """torchvision counts 27 161 264 weights for Inception-v3 with three channels, 1000 classes and a second classifier.

    That one, on 768 channels, is a 1-convolution to 128, a 5 x 5 to 768, and a linear layer.
    """
    second = convolution(768, 128, 1) + convolution(128, 768, 25) + batch_norm(128, 768) + linear(768, 1000)
    two_more_channels = convolution(2, 32, 9)
    encoder = published("bonet", 1, 500, 500)
    assert encoder.feature_dim == 2048
    assert size(encoder) == 27_161_264 - second - linear(2048, 1000) - two_more_channels


@pytest.mark.parametrize(
    ("name", "image_shape", "kind", "left"),
    [
        ("r2plus1d_18", (3, 16, 112, 112), nn.Conv3d, (2, 7, 7)),  # Tran 2018, Table 1: L / 8 x 7 x 7
        ("sfcn", (1, 160, 192, 160), nn.Conv3d, (5, 6, 5)),  # Peng 2021, Fig. 1
        ("resnet18", (3, 224, 224), nn.Conv2d, (7, 7)),  # He 2016, Table 1
        ("densenet121", (3, 224, 224), nn.Conv2d, (7, 7)),  # Huang 2017, Table 1
        ("tcn", (400, 478), nn.Conv1d, (478,)),
    ],
)
def test_what_is_left_of_the_published_image(
    name: str, image_shape: tuple[int, ...], kind: type[nn.Module], left: tuple[int, ...]
) -> None:
    encoder = published(name, *image_shape)
    *_, last = (module for module in encoder.modules() if isinstance(module, kind))
    seen: list[torch.Size] = []
    last.register_forward_hook(lambda _, __, output: seen.append(output.shape[2:]))
    features = encoder(torch.empty(2, *image_shape, device="meta"))
    assert features.shape == (2, encoder.feature_dim)
    assert seen == [left]
