import math
from typing import Any

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import losses
from contrasweep.trainers.losses.adacon import AdaCon, distribution
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)
TIED = (Y / 10).round() * 10
TRAIN = [20.0, 30.0, 30.0, 40.0, 40.5, 50.0, 70.0]


def share(y: float, train: list[float]) -> float:
    """F(y), counted one by one."""
    return sum(1.0 if label < y else 0.5 if label == y else 0.0 for label in train) / len(train)


def adacon(z: Tensor, y: Tensor, train: list[float], *, temperature: float, margin: float) -> Tensor:
    """Mean over the anchors that have positives, one exponential at a time."""
    z = torch.stack([row / row.norm() for row in z])
    values = []
    for i in range(len(z)):
        others = [t for t in range(len(z)) if t != i]
        positives = [t for t in others if y[t] == y[i]]
        gaps = {t: abs(share(float(y[i]), train) - share(float(y[t]), train)) for t in others}
        logits = {t: (z[i] @ z[t] + (0.0 if t in positives else margin * gaps[t])) / temperature for t in others}
        log_total = torch.stack([logit.exp() for logit in logits.values()]).sum().log()
        if positives:
            values.append(-torch.stack([logits[p] - log_total for p in positives]).mean())
    return torch.stack(values).mean()


@pytest.mark.parametrize("y", [Y, TIED], ids=["continuous", "tied"])
@pytest.mark.parametrize("train", [None, TRAIN], ids=["batch", "train"])
@pytest.mark.parametrize(("temperature", "margin"), [(1 / 150, 2.0), (0.1, 0.5), (0.2, 0.0)])
def test_value_and_gradient_equal_the_loop(
    y: Tensor, train: list[float] | None, temperature: float, margin: float
) -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("adacon", temperature=temperature, margin=margin, train_labels=train)(z, y, views=2)
    expected = adacon(z_plain, y, train or y.tolist(), temperature=temperature, margin=margin)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("train", [None, TRAIN], ids=["batch", "train"])
def test_bins_are_the_labels_where_a_size_is_given(train: list[float] | None) -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("adacon", bin_size=10.0, temperature=0.1, train_labels=train)(z, Y, views=2)
    own, known = Y // 10, [label // 10 for label in train or Y.tolist()]
    expected = adacon(z_plain, own, known, temperature=0.1, margin=2.0)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-9, atol=1e-10)


def test_without_a_margin_it_is_supcon() -> None:
    value = losses.build("adacon", temperature=0.1, margin=0.0)(Z, TIED, views=2)
    torch.testing.assert_close(value, losses.build("supcon", temperature=0.1)(Z, TIED, views=2))


def joint(weight: float = 4 / 3, **params: Any) -> AdaCon:
    torch.manual_seed(0)
    return AdaCon(regression=weight, temperature=0.1, train_labels=TRAIN, **params)


def test_a_regression_branch_adds_its_squared_error() -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = joint()(z, Y, views=2)
    squares = [(row[5] - label) ** 2 for row, label in zip(z_plain, Y, strict=True)]
    contrast = adacon(z_plain[:, :5], Y, TRAIN, temperature=0.1, margin=2.0)
    expected = contrast + 4 / 3 * torch.stack(squares).mean()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-9, atol=1e-10)


def test_the_branch_has_a_head_that_reads_what_is_behind_the_projection() -> None:
    loss = joint(encoder_width=4)
    assert loss.head is not None
    predictions = loss.head.predict(loss.head(Z[:, 2:]))
    value = loss(Z, Y, views=2)
    expected = joint()(torch.cat([Z[:, :2], predictions[:, None]], 1), Y, views=2)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in loss.parameters())
    probe = loss.probe()
    assert probe is not None
    torch.testing.assert_close(probe.predict(Z[:, 2:]), predictions.detach())


def test_without_a_weight_there_is_no_branch() -> None:
    loss = joint(0.0, encoder_width=4)
    assert loss.probe() is None and not list(loss.parameters()) and not loss.end_to_end


def test_only_the_order_of_the_labels_counts() -> None:
    loss = losses.build("adacon")
    torch.testing.assert_close(loss(Z, Y, views=2), loss(Z, Y.exp(), views=2))


def test_a_row_with_more_labels_in_between_repels_more() -> None:
    train = [10.0, 20.0, 21.0, 22.0, 23.0, 24.0, 80.0]
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.6, 0.8]], dtype=torch.float64).requires_grad_()
    y = torch.tensor([10.0, 10.0, 20.0, 24.0])
    losses.build("adacon", temperature=0.5, train_labels=train)(z, y).backward()
    assert z.grad is not None
    assert z.grad[3].norm() > 1.5 * z.grad[2].norm()


def test_anchors_without_positives_are_left_out() -> None:
    y = torch.tensor([20.0, 20.0, 40.0], dtype=torch.float64)
    value = losses.build("adacon", temperature=0.1)(Z[:3], y)
    torch.testing.assert_close(value, adacon(Z[:3], y, y.tolist(), temperature=0.1, margin=2.0))
    alone = Z[:3].clone().requires_grad_()
    nothing = losses.build("adacon")(alone, torch.tensor([20.0, 30.0, 40.0]))
    assert float(nothing.detach()) == 0
    assert torch.autograd.grad(nothing, alone)[0].eq(0).all()


def test_groups_are_separate_batches() -> None:
    group = (torch.arange(8) % 2).repeat(2)
    loss = losses.build("adacon", train_labels=TRAIN, reduction="sum")
    whole = loss(Z, Y, views=2, group=group)
    parts = [loss(Z[group == g], Y[group == g], views=2) for g in (0, 1)]
    torch.testing.assert_close(whole, parts[0] + parts[1])


def test_labels_in_single_precision_are_found_among_the_training_labels() -> None:
    train = [0.3, 0.7]  # the nearest single-precision numbers lie on different sides of them
    single, double = (torch.tensor(train, dtype=dtype).repeat(2) for dtype in (torch.float32, torch.float64))
    loss = losses.build("adacon", train_labels=train)
    assert float(loss(Z[:4], single, views=2)) == float(loss(Z[:4], double, views=2))


def test_the_distribution_counts_ties_by_half() -> None:
    y = torch.tensor([5.0, 20.0, 30.0, 35.0, 99.0], dtype=torch.float64)
    expected = torch.tensor([share(value, TRAIN) for value in y.tolist()], dtype=torch.float64)
    torch.testing.assert_close(distribution(y, torch.tensor(TRAIN, dtype=torch.float64)), expected)


def test_the_published_point_is_stable_in_single_precision() -> None:
    z = torch.cat([Z.float(), -Z.float()]).requires_grad_()
    value = losses.build("adacon")(z, labels(16, 2).float(), views=2)
    assert math.isfinite(float(value.detach()))
    assert torch.autograd.grad(value, z)[0].isfinite().all()
