"""ResNets for series, images and volumes, from MONAI."""

from monai.networks.nets.resnet import ResNet, get_inplanes

from trainers.encoders import register
from trainers.errors import UserError


@register("resnet18")
class ResNet18(ResNet):
    """ResNet-18 without its classifier: [N, in_channels, *spatial] -> [N, 512 * width].

    Stem 7 with stride 2, max-pool, widths 64-128-256-512 times `width` (SupReMix, appendix C.1.1;
    DynLocRep, section 4.2). With `spatial_dims=1` the channels are the regions of an fMRI series.
    Raises UserError where `width` leaves the stem no channel.
    """

    feature_dim: int

    def __init__(self, *, spatial_dims: int = 3, in_channels: int = 1, width: float = 1.0) -> None:
        if 64 * width < 1:
            raise UserError(f"encoder 'resnet18': width is {width:g}; allowed: numbers from {1 / 64:g}")
        super().__init__(
            "basic",
            [2, 2, 2, 2],
            get_inplanes(),
            spatial_dims=spatial_dims,
            n_input_channels=in_channels,
            conv1_t_size=7,
            conv1_t_stride=2,
            widen_factor=width,
            feed_forward=False,
        )
        self.feature_dim = self.in_planes
