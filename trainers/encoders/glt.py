"""Global-Local Transformer (He, Grant and Ou 2021) for brain age."""

from typing import ClassVar, cast

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled
from contrasweep.trainers.parameters import BelowOne, Several

HEADS = 8


def convolution(dims: int, inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Convolution that keeps the image's size, BatchNorm and ReLU."""
    return nn.Sequential(
        Conv[Conv.CONV, dims](inputs, outputs, kernel, padding=kernel // 2, bias=False),
        Norm[Norm.BATCH, dims](outputs),
        nn.ReLU(inplace=True),
    )


def vgg8(dims: int, inputs: int, stages: list[int]) -> nn.Sequential:
    """Two 3-convolutions and a max-pool 2 in each stage: [N, C, *S] -> tokens [N, stages[-1], T]."""
    layers: list[nn.Module] = []
    for outputs in stages:
        layers += [convolution(dims, inputs, outputs, 3), convolution(dims, outputs, outputs, 3)]
        layers.append(Pool[Pool.MAX, dims](2, ceil_mode=True))
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(2))


def patches(images: Tensor, side: int) -> Tensor:
    """Windows of `side` pixels, half a side apart: [N, C, *S] -> [N, P, C, *side].

    Windows that would reach over the edge are left out; an image smaller than `side` is one window.
    """
    dims = images.dim() - 2
    for axis in range(2, 2 + dims):
        images = images.unfold(axis, min(side, images.shape[axis]), side // 2)
    return images.flatten(2, 1 + dims).transpose(1, 2)


class GlobalLocalBlock(nn.Module):
    """Local tokens ask the global ones, and take in what they learn (He 2021, section III-D).

    Tokens [N, C, T] of all patches of an image stand in one row: attention and feed-forward treat each by itself.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, HEADS, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            convolution(1, 2 * channels, channels, 1), convolution(1, channels, channels, 1)
        )

    def forward(self, local_tokens: Tensor, global_tokens: Tensor) -> Tensor:
        context = global_tokens.transpose(1, 2)
        answer, _ = self.attention(local_tokens.transpose(1, 2), context, context, need_weights=False)
        fused = torch.cat([self.dropout(answer).transpose(1, 2), local_tokens], 1)
        return local_tokens + cast(Tensor, self.feed_forward(fused))


@register("glt")
class GlobalLocalTransformer(nn.Module):
    """Global-Local Transformer without its two regressors: slices or volumes [N, C, *S] -> [N, 512 * width].

    A VGG-8 sees the whole image, another one each local patch; in six blocks times `depth` the patches' tokens ask
    those of the whole by attention with 8 heads. Stages have 64-128-256-512 channels times `width`. The paper predicts
    from the whole image and from each patch and averages the predictions; here the vectors they would be made of
    are averaged: features = (global + sum of P locals) / (P + 1).

    Published on 2D, with five neighbouring slices as channels of images of 130 x 170 pixels: P = 12. Volumes
    are cut along all three axes. All patches of a batch share the statistics of BatchNorm in training, where
    the authors' code normalises patch by patch; poolings keep what is over at an edge, so that small images work.

    Args:
        patch: side of a local patch in pixels; neighbours overlap by half.
        dropout: share left out of attention and of its output in training.

    Raises UserError where `patch` or `dropout` is not allowed.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (2, 3)
    narrowest: ClassVar[int] = 64

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        width: float = 1.0,
        depth: float = 1.0,
        patch: Several = 64,
        dropout: BelowOne = 0.5,
    ) -> None:
        super().__init__()
        self.patch, (first,), (blocks,) = patch, scaled([64], width), scaled([6], depth)
        stages = [first, 2 * first, 4 * first, HEADS * first]  # so that each head has a whole number of channels
        self.feature_dim = stages[-1]
        dims = len(image_shape) - 1
        self.global_path, self.local_path = (vgg8(dims, image_shape[0], stages) for _ in range(2))
        self.blocks = nn.ModuleList(GlobalLocalBlock(self.feature_dim, dropout) for _ in range(blocks))

    def forward(self, images: Tensor) -> Tensor:
        global_tokens = self.global_path(images)
        windows = patches(images, self.patch)
        count = windows.shape[1]
        local_tokens = self.local_path(windows.flatten(0, 1)).unflatten(0, (-1, count))
        local_tokens = local_tokens.transpose(1, 2).flatten(2)
        for block in self.blocks:
            local_tokens = block(local_tokens, global_tokens)
        return cast(Tensor, (global_tokens.mean(2) + count * local_tokens.mean(2)) / (count + 1))
