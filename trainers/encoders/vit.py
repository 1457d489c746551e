"""Vision transformer for series, images and volumes, from MONAI."""

from collections.abc import Iterable
from typing import Literal, cast

import torch
from monai.networks.nets.vit import ViT
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.parameters import Count

_HIDDEN, _BLOCKS, _HEAD_SIZE, _PATCH = 768, 12, 64, 16


@register("vit")
class VisionTransformer(ViT):
    """ViT-B (Dosovitskiy et al. 2021): [N, C, *S] -> [N, 768 * width].

    Features are, after the last norm, the class `token` as published, or the `mean` of the patches' tokens (`pool`).

    12 * depth blocks with heads of 64 channels, 12 of them at width 1, learned positions, no dropout; ViT-L is
    width 4/3 and depth 2. SupReMix (section 5.4, Table 20) names ViT-B and no more; He et al. 2022 probe the class
    token, and find the mean as good. An image whose sides are no multiples of `patch` is padded with zeros, evenly on
    both sides: 91 x 109 x 91 voxels make 6 x 7 x 6 patches of 16.

    Raises UserError for a patch that is no whole number from 1, or larger than 16 and the image.
    """

    narrowest = _HIDDEN // 2  # the norms make a constant of a single channel

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        width: float = 1.0,
        depth: float = 1.0,
        patch: Count = _PATCH,
        pool: Literal["token", "mean"] = "token",
    ) -> None:
        channels, *sides = image_shape
        if patch > max(_PATCH, *sides):
            raise UserError(f"encoder 'vit': patch is {patch}; allowed for {sides} pixels: up to {max(_PATCH, *sides)}")
        (blocks,) = scaled([_BLOCKS], depth)
        heads, hidden = heads_and_hidden(_HIDDEN * width, _HEAD_SIZE)
        super().__init__(
            in_channels=channels,
            img_size=[patch * -(-side // patch) for side in sides],
            patch_size=[patch] * len(sides),
            hidden_size=hidden,
            mlp_dim=4 * hidden,
            num_layers=blocks,
            num_heads=heads,
            spatial_dims=len(sides),
            qkv_bias=True,
        )
        drop_unused(self.blocks)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, hidden))
        self.patch, self.pool = patch, pool
        self.feature_dim = hidden

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, feature_dim] of images [N, C, *S]."""
        tokens = self.encode(self.embed(self.pad(images)))
        return tokens[:, 0] if self.pool == "token" else tokens[:, 1:].mean(1)

    def pad(self, images: Tensor) -> Tensor:
        """Images [N, C, *S] with zeros around them, so that patches tile them."""
        gaps = [-side % self.patch for side in reversed(images.shape[2:])]
        return F.pad(images, [part for gap in gaps for part in (gap // 2, gap - gap // 2)])

    def embed(self, padded: Tensor) -> Tensor:
        """Tokens [N, P, feature_dim] of the P patches of padded images, in row-major order, with their positions."""
        return cast(Tensor, self.patch_embedding(padded))

    def encode(self, tokens: Tensor) -> Tensor:
        """The class token, then the given tokens, after all blocks: [N, P, feature_dim] -> [N, 1 + P, feature_dim]."""
        x = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], 1)
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.norm(x))


def heads_and_hidden(hidden: float, head_size: int) -> tuple[int, int]:
    """Number of heads of about `head_size` channels, and their channels together, near `hidden`.

    >>> heads_and_hidden(768, 64), heads_and_hidden(48, 64)
    ((12, 768), (1, 48))
    """
    heads = max(1, round(hidden / head_size))
    return heads, heads * max(1, round(hidden / heads))


def drop_unused(blocks: Iterable[nn.Module]) -> None:
    """Take from MONAI's transformer blocks the norm of a cross-attention they do not have: it gets no gradient."""
    for block in blocks:
        block.norm_cross_attn = nn.Identity()
