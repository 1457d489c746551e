from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers import encoders
from contrasweep.trainers.encoders.tcn import TCN, DilatedConvolution, TemporalBlock
from contrasweep.trainers.errors import UserError

SHAPE = (3, 40)


def series() -> Tensor:
    return torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))


def built(**params: Any) -> TCN:
    torch.manual_seed(0)
    encoder = encoders.build("tcn", SHAPE, width=0.1, **params)
    assert isinstance(encoder, TCN)
    return encoder.eval()


def influence(layer: nn.Module, frame: int) -> list[int]:
    """The input frames that `frame` of the output [N, C, T] depends on."""
    given = series().requires_grad_()
    layer(given)[:, :, frame].sum().backward()
    assert given.grad is not None
    return given.grad.abs().sum((0, 1)).nonzero().flatten().tolist()


@pytest.mark.parametrize(("causal", "frames"), [(True, [8, 11, 14, 17, 20]), (False, [14, 17, 20, 23, 26])])
def test_a_convolution_sees_every_third_frame_up_to_itself_or_around_it(causal: bool, frames: list[int]) -> None:
    assert influence(DilatedConvolution(3, 4, 5, 3, causal=causal), 20) == frames


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("causal", [True, False])
def test_a_convolution_is_a_sum_over_frames(kernel: int, causal: bool) -> None:
    layer, given, dilation = DilatedConvolution(3, 4, kernel, 2, causal=causal), series(), 2
    with torch.no_grad():
        layer.gain.mul_(1.5)
    assert layer.bias is not None
    span = dilation * (kernel - 1)
    before = span if causal else span // 2
    lengths = layer.weight.square().sum((1, 2)).sqrt()
    expected = layer.bias[None, :, None].repeat(2, 1, SHAPE[1])
    for frame in range(SHAPE[1]):
        for tap in range(kernel):
            source = frame + dilation * tap - before
            if 0 <= source < SHAPE[1]:
                weight = layer.gain.flatten()[:, None] * layer.weight[:, :, tap] / lengths[:, None]
                expected[:, :, frame] += given[:, :, source] @ weight.T
    torch.testing.assert_close(layer(given), expected)


def test_weights_start_as_a_convolutions() -> None:
    torch.manual_seed(0)
    plain = nn.Conv1d(3, 4, 5, padding=4, dilation=2)
    torch.manual_seed(0)
    torch.testing.assert_close(DilatedConvolution(3, 4, 5, 2, causal=False)(series()), plain(series()))


@pytest.mark.parametrize(("depth", "span"), [(0.25, 5), (0.5, 13), (0.75, 29)])
def test_an_output_sees_what_the_docstring_says(depth: float, span: int) -> None:
    """1 + 2 (kernel - 1) (2^blocks - 1) frames, of kernel 3."""
    assert len(influence(built(depth=depth, kernel=3).layers, 20)) == span


def test_a_causal_network_sees_its_past() -> None:
    assert max(influence(built(causal=True).layers, 20)) == 20
    assert max(influence(built().layers, 20)) > 20


def test_dropout_leaves_out_whole_channels_in_training() -> None:
    encoder = built(dropout=0.9, depth=0.25).train()
    torch.manual_seed(0)
    answer = cast(TemporalBlock, encoder.layers[0]).layers(series())
    assert not answer.isnan().any()
    silent = (answer == 0).all(2).float().mean()
    assert 0.7 < silent < 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel": 1}, "kernel is 1; allowed: whole numbers from 2"),
        ({"kernel": 2.5}, "kernel is 2.5; allowed: whole numbers from 2"),
        ({"dropout": 1}, "dropout is 1; allowed: numbers from 0 to below 1"),
        ({"dropout": "half"}, "dropout is 'half'; allowed: numbers from 0 to below 1"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^encoder 'tcn': {message}$"):
        built(**params)


def test_causal_is_true_or_false() -> None:
    with pytest.raises(UserError, match="encoder 'tcn': causal is 'no'; allowed: true, false"):
        encoders.build("tcn", (4, 32), causal="no")
