"""Temporal convolutional network (Bai 2018) for series."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.encoders import register
from contrasweep.trainers.encoders._scale import scaled
from contrasweep.trainers.parameters import BelowOne, Several


class DilatedConvolution(nn.Conv1d):
    """[N, C, T] -> [N, outputs, T] with weight normalisation (Salimans 2016): each kernel is a gain times a direction.

    Where `causal`, the series is padded with zeros at its start alone, else at both ends.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, *, causal: bool) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation)
        span = dilation * (kernel - 1)
        before = span if causal else span // 2
        self.around = before, span - before
        self.gain = nn.Parameter(torch.linalg.vector_norm(self.weight.detach(), dim=(1, 2), keepdim=True))

    def forward(self, series: Tensor) -> Tensor:
        weight = self.gain * F.normalize(self.weight.flatten(1)).view_as(self.weight)
        return F.conv1d(F.pad(series, self.around), weight, self.bias, dilation=self.dilation)


class TemporalBlock(nn.Module):
    """Two dilated convolutions, each with ReLU and channel dropout, around a shortcut (Bai 2018, Fig. 1b)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            DilatedConvolution(inputs, outputs, kernel, dilation, causal=causal),
            nn.ReLU(),
            nn.Dropout1d(dropout),
            DilatedConvolution(outputs, outputs, kernel, dilation, causal=causal),
            nn.ReLU(),
            nn.Dropout1d(dropout),
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)

    def forward(self, series: Tensor) -> Tensor:
        return F.relu(self.layers(series) + self.shortcut(series))


@register("tcn")
class TCN(nn.Module):
    """TCN for series [N, C regions, T frames] -> [N, 150 * width]: the mean over time of the last block.

    The authors' network for series of many channels (polyphonic music): four blocks times `depth` of 150 channels
    times `width`, kernels of 5 frames, dilated by 1, 2, 4, 8 and on. Each output then sees
    1 + 2 (kernel - 1) (2^blocks - 1) = 121 frames.

    Age is a property of the whole scan, so padding is on both sides here, as in the acausal network of Lea 2017, which
    is the TCN that SupReMix compares with on fMRI (section 4.2; it gives no sizes).

    Args:
        kernel: frames that a convolution spans before it is dilated.
        dropout: share of the channels left out after each convolution in training.
        causal: whether an output sees only its past, as Bai's forecasts do.

    Raises UserError where `kernel` or `dropout` is not allowed.
    """

    spatial_dims: ClassVar[tuple[int, ...]] = (1,)
    narrowest: ClassVar[int] = 150

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        width: float = 1.0,
        depth: float = 1.0,
        kernel: Several = 5,
        dropout: BelowOne = 0.25,
        causal: bool = False,
    ) -> None:
        super().__init__()
        (self.feature_dim,), (blocks,) = scaled([150], width), scaled([4], depth)
        channels = [image_shape[0], *[self.feature_dim] * blocks]
        self.layers = nn.Sequential(
            *(
                TemporalBlock(channels[i], channels[i + 1], kernel, 2**i, causal=causal, dropout=dropout)
                for i in range(blocks)
            )
        )

    def forward(self, series: Tensor) -> Tensor:
        return cast(Tensor, self.layers(series).mean(2))
