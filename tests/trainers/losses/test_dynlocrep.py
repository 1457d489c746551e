import math
from typing import get_args

import pytest
import torch

from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses._neighbours import Distance, scheduled_neighbours
from tests.trainers.losses import plain
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)


@pytest.mark.parametrize("distance", get_args(Distance))
@pytest.mark.parametrize("lam", [0.5, 1.0, 3.0, math.inf])
def test_equals_the_plain_loops(distance: str, lam: float) -> None:
    loss = losses.build("dynlocrep", distance=distance, lam=lam, nn_final=3)
    expected = plain.dynlocrep(Z, Y, 6, distance, lam=lam)
    assert float(loss(Z, Y, epoch=49, views=2)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("kernel", ["rbf", "cauchy", "triangular"])
@pytest.mark.parametrize("views", [1, 2])
def test_kernels_equal_the_plain_loops(kernel: str, views: int) -> None:
    loss = losses.build("dynlocrep", kernel=kernel, sigma=10.0, nn_final=4)
    expected = plain.dynlocrep(Z, Y, 4 * views, "manhattan", kernel=kernel, sigma=10.0)
    assert float(loss(Z, Y, epoch=49, views=views)) == pytest.approx(expected, abs=1e-10)


def test_reference_equals_the_plain_loops() -> None:
    loss = losses.build("dynlocrep", variant="reference", nn_final=3)
    assert float(loss(Z, Y, epoch=49, views=2)) == pytest.approx(plain.dynlocrep_reference(Z, Y, 6), abs=1e-10)


def test_no_decay_is_exponential() -> None:
    value = losses.build("dynlocrep", lam=0.0, nn_final=2)(Z, Y, epoch=49, views=2)
    torch.testing.assert_close(value, losses.build("exponential")(Z, Y, views=2), rtol=0, atol=1e-12)


def test_first_epoch_is_exponential() -> None:
    value = losses.build("dynlocrep", nn_final=2)(Z, Y, epoch=0, views=2)
    torch.testing.assert_close(value, losses.build("exponential")(Z, Y, views=2), rtol=0, atol=1e-12)


def test_large_decay_approaches_the_neighbours_alone() -> None:
    value = losses.build("dynlocrep", lam=1e6, nn_final=2)(Z, Y, epoch=49, views=2)
    torch.testing.assert_close(value, losses.build("dynlocrep", nn_final=2)(Z, Y, epoch=49, views=2))


def test_an_anchor_without_positives_is_left_out_of_the_mean() -> None:
    y = torch.tensor([20.0, 21.0, 22.0, 90.0], dtype=torch.float64)
    loss = losses.build("exponential", kernel="triangular", sigma=5.0)
    expected = plain.dynlocrep(Z[:4], y, 4, "manhattan", kernel="triangular", sigma=5.0)
    assert float(loss(Z[:4], y)) == pytest.approx(expected, abs=1e-10)


def test_all_anchors_without_positives_give_zero() -> None:
    z = Z[:3].clone().requires_grad_()
    value = losses.build("exponential", kernel="triangular", sigma=1.0)(z, torch.tensor([20.0, 40.0, 60.0]))
    value.backward()
    assert value.item() == 0
    assert z.grad is not None and not z.grad.any()


def test_sum_is_the_mean_times_the_anchors() -> None:
    mean, total = (losses.build("dynlocrep", nn_final=3, reduction=r)(Z, Y, epoch=9, views=2) for r in ("mean", "sum"))
    torch.testing.assert_close(total, mean * len(Z))


@pytest.mark.parametrize(
    ("epoch", "final", "step_size", "max_epochs", "expected"),
    [
        (0, 14, 1, 50, 32),
        (1, 14, 1, 50, 31),
        (46, 14, 1, 50, 15),
        (47, 14, 1, 50, 14),
        (99, 14, 1, 50, 14),
        (9, 14, 10, 20, 32),
        (10, 14, 10, 20, 14),
        (29, 14, 30, 50, 32),
        (30, 14, 30, 50, 14),
        (49, 0, 1, 50, 1),
    ],
)
def test_schedule(epoch: int, final: int, step_size: int, max_epochs: int, expected: int) -> None:
    counted = scheduled_neighbours(32, 2, epoch, final=final, step_size=step_size, max_epochs=max_epochs)
    assert counted == expected


def test_one_view_keeps_another_row_in_the_neighbourhood() -> None:
    assert scheduled_neighbours(32, 1, 49, final=0, step_size=1, max_epochs=50) == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"nn_final": -1}, "nn_final is -1; allowed: whole numbers from 0"),
        ({"nn_final": 2.5}, "nn_final is 2.5"),
        ({"nn_step_size": 0}, "nn_step_size is 0; allowed: whole numbers from 1"),
        ({"nn_step_size": 50}, "nn_step_size is 50; allowed: below max_epochs, 50"),
        ({"lam": -0.5}, "lam is -0.5; allowed: numbers from 0"),
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        losses.build("dynlocrep", **params)


def test_more_neighbours_than_samples_are_refused() -> None:
    with pytest.raises(UserError, match="nn_final is 14; allowed: at most the global batch size, 8"):
        losses.build("dynlocrep")(Z, Y, views=2)


@pytest.mark.parametrize("name", ["exponential", "dynlocrep"])
@pytest.mark.parametrize("sigma", [0.5, 61.0])
def test_a_kernel_flat_over_the_labels_warns(name: str, sigma: float) -> None:
    with pytest.warns(UserWarning, match=f"loss '{name}': sigma {sigma:g} is outside 0.6 to 60"):
        losses.build(name, sigma=sigma, label_range=60.0)
