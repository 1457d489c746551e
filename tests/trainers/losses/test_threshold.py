import math

import pytest
import torch

from contrasweep.trainers import losses
from tests.trainers.losses import plain
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)
TIED = (Y / 10).round() * 10


@pytest.mark.parametrize("y", [Y, TIED], ids=["continuous", "tied"])
@pytest.mark.parametrize("kernel", ["rbf", "cauchy", "triangular"])
@pytest.mark.parametrize("sigma", [2.0, 25.0])
def test_equals_the_plain_loops(y: torch.Tensor, kernel: str, sigma: float) -> None:
    value = losses.build("threshold", kernel=kernel, sigma=sigma)(Z, y, views=2)
    assert float(value) == pytest.approx(plain.threshold(Z, y, kernel=kernel, sigma=sigma), abs=1e-10)


@pytest.mark.parametrize("y", [Y, TIED], ids=["continuous", "tied"])
def test_reference_equals_the_plain_loops(y: torch.Tensor) -> None:
    value = losses.build("threshold", variant="reference")(Z, y, views=2)
    assert float(value) == pytest.approx(plain.threshold_reference(Z, y), abs=1e-10)


def test_sets_follow_distances_where_the_kernel_underflows() -> None:
    z = Z[:5].float()
    y = torch.tensor([0.0, 0.0, 40.0, 50.0, 60.0])
    assert float(losses.build("threshold")(z, y)) == pytest.approx(plain.threshold(z, y), abs=1e-5)


def test_the_farthest_rows_only_repel() -> None:
    """Two labels: the other row of the anchor's attracts; terms of the other label have nothing farther."""
    z, y = torch.eye(4, dtype=torch.float64), torch.tensor([20.0, 20.0, 60.0, 60.0])
    assert float(losses.build("threshold")(z, y)) == pytest.approx(math.log(2))


def test_an_anchor_without_terms_is_left_out_of_the_mean() -> None:
    y = torch.tensor([20.0, 21.0, 22.0, 60.0], dtype=torch.float64)
    loss = losses.build("threshold", kernel="triangular", sigma=5.0)
    assert float(loss(Z[:4], y)) == pytest.approx(plain.threshold(Z[:4], y, kernel="triangular", sigma=5.0), abs=1e-10)


def test_one_label_has_no_farther_rows() -> None:
    z = Z.clone().requires_grad_()
    value = losses.build("threshold")(z, torch.full_like(Y, 50.0))
    value.backward()
    assert value.item() == 0
    assert z.grad is not None and not z.grad.any()
