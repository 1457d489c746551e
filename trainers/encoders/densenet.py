"""DenseNet-121 (Huang 2017) for series, images and volumes, from MONAI."""

from typing import ClassVar, cast

from monai.networks.nets import densenet
from torch import nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled


@register("densenet121")
class DenseNet121(densenet.DenseNet):
    """DenseNet-121 without its classifier: [N, C, *S] -> [N, 1024 * width], at depth 1.

    64 channels in front and 32 more from each layer, times `width`; blocks of 6-12-24-16 layers, times `depth`.
    Stem and max-pool leave an image of 29 pixels the 8 that three halvings need.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    narrowest: ClassVar[int] = 32
    least_side: ClassVar[int] = 29
    feature_dim: int

    def __init__(self, *, image_shape: tuple[int, ...], width: float = 1.0, depth: float = 1.0) -> None:
        first, growth = scaled((64, 32), width)
        super().__init__(
            len(image_shape) - 1,
            image_shape[0],
            out_channels=1,
            init_features=first,
            growth_rate=growth,
            block_config=scaled((6, 12, 24, 16), depth),
        )
        self.feature_dim = cast(nn.Linear, self.class_layers.out).in_features
        self.class_layers.out = nn.Identity()
