"""ResNets (He 2016) for series, images and volumes, from MONAI."""

from typing import ClassVar

from monai.networks.nets.resnet import ResNet, get_inplanes

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled


class PublishedResNet(ResNet):
    """A ResNet without its classifier: [N, C, *S] -> [N, 512 * width * the block's expansion].

    Stem 7 with stride 2, max-pool, stages of 64-128-256-512 channels times `width`, `blocks` in each stage times
    `depth`, average over what is left of the image. Convolutions in front of a BatchNorm have no bias, so that
    the weights are those of the published network. In one dimension the channels are the regions of an fMRI series.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    narrowest: ClassVar[int] = 64
    block: ClassVar[str]
    blocks: ClassVar[tuple[int, ...]]
    feature_dim: int

    def __init__(self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__(
            self.block,
            scaled(self.blocks, depth),
            scaled(get_inplanes(), width),
            spatial_dims=len(image_shape) - 1,
            n_input_channels=image_shape[0],
            conv1_t_size=7,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.feature_dim = self.in_planes


@register("resnet18")
class ResNet18(PublishedResNet):
    """ResNet-18 (SupReMix, appendix C.1.1; DynLocRep, section 4.2)."""

    block, blocks = "basic", (2, 2, 2, 2)


@register("resnet34")
class ResNet34(PublishedResNet):
    """ResNet-34 (He 2016, Table 1)."""

    block, blocks = "basic", (3, 4, 6, 3)


@register("resnet50")
class ResNet50(PublishedResNet):
    """ResNet-50: bottlenecks that widen fourfold (He 2016, Table 1; SupReMix, appendix C.1.1, for hand X-rays).

    SupReMix also pads its first layer and changes strides by amounts that it does not state; those are left out.
    """

    block, blocks = "bottleneck", (3, 4, 6, 3)
