import pytest
import torch
from torch import nn

from contrasweep.trainers import encoders
from contrasweep.trainers.encoders.bonet import BoNet
from contrasweep.trainers.errors import UserError


def blocks(depth: float) -> list[torch.Size]:
    """Shapes after each module of a narrow network, on the classifier's published image of 299 x 299 pixels."""
    encoder = encoders.build("bonet", (1, 299, 299), width=1 / 32, depth=depth)
    assert isinstance(encoder, BoNet)
    shapes, x = [], torch.zeros(2, 1, 299, 299)
    for layer in encoder.layers:
        x = layer(x)
        shapes.append(x.shape)
    return shapes


def test_the_grids_are_the_published_ones() -> None:
    """Szegedy 2016, Table 1: 149, 147, 147, 73; the two layers after it as released, 73 and 71; 35, 17 and 8."""
    sides = [shape[-1] for shape in blocks(1)]
    assert sides == [149, 147, 147, 73, 73, 71, 35, *[35] * 3, 17, *[17] * 4, 8, *[8] * 2]


@pytest.mark.parametrize(("depth", "counts"), [(0.25, (1, 1, 1)), (1, (3, 4, 2)), (2, (6, 8, 4))])
def test_depth_counts_the_blocks_of_each_grid(depth: float, counts: tuple[int, int, int]) -> None:
    fine, middle, coarse = counts
    sides = [shape[-1] for shape in blocks(depth)[7:]]
    assert sides == [*[35] * fine, 17, *[17] * middle, 8, *[8] * coarse]


def test_channels_are_the_published_ones() -> None:
    """Szegedy 2016, Table 1: 768 on the second grid, 1280 and 2048 on the third; 256, 288, 288 as released."""
    with torch.device("meta"):
        encoder = encoders.build("bonet", (1, 299, 299))
    mixed = [m for m in encoder.layers if hasattr(m, "branches")]  # type: ignore[union-attr]
    inputs = [next(c for c in m.modules() if isinstance(c, nn.Conv2d)).in_channels for m in mixed]
    assert inputs == [192, 256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048]


def test_the_least_image() -> None:
    encoder = encoders.build("bonet", (1, 75, 80), width=1 / 32, depth=0.25).eval()
    assert encoder(torch.zeros(1, 1, 75, 80)).shape == (1, encoder.feature_dim)
    with pytest.raises(
        UserError, match=r"^encoder 'bonet': images are 80 x 74 pixels; allowed: 75 or more along each side$"
    ):
        encoders.build("bonet", (1, 80, 74))
