import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss  # type: ignore[import-untyped]

from contrasweep.trainers import losses
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_value_and_gradient_equal_metric_learning(temperature: float) -> None:
    z, z_theirs = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("simclr", temperature=temperature)(z, Y, views=2)
    theirs = NTXentLoss(temperature=temperature)(z_theirs, torch.arange(8).repeat(2))
    torch.testing.assert_close(value, theirs, rtol=0, atol=1e-10)
    value.backward()
    theirs.backward()
    torch.testing.assert_close(z.grad, z_theirs.grad, rtol=0, atol=1e-10)


def test_labels_play_no_part() -> None:
    loss = losses.build("simclr")
    torch.testing.assert_close(loss(Z, Y, views=2), loss(Z, Y * 0, views=2), rtol=0, atol=0)


def test_four_views_are_four_of_a_label() -> None:
    value = losses.build("simclr", temperature=0.1)(Z, Y, views=4)
    torch.testing.assert_close(value, losses.build("supcon")(Z, torch.arange(4.0).repeat(4)))


def test_groups_are_separate_batches() -> None:
    group = (torch.arange(8) % 2).repeat(2)
    loss = losses.build("simclr", reduction="sum")
    parts = [loss(Z[group == g], Y[group == g], views=2) for g in (0, 1)]
    torch.testing.assert_close(loss(Z, Y, views=2, group=group), parts[0] + parts[1])


def test_one_view_gives_zero() -> None:
    z = Z.clone().requires_grad_()
    value = losses.build("simclr")(z, Y)
    value.backward()
    assert value.item() == 0
    assert z.grad is not None and not z.grad.any()
