from typing import Any, get_args

import pytest
import torch

from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.regression import Kind, RegressionHead

TRAIN_LABELS = (20.0, 35.0, 50.0, 80.0)


@pytest.mark.parametrize(("kind", "expected"), [("l1", (1 + 3) / 2), ("mse", (1 + 9) / 2), ("huber", (0.5 + 2.5) / 2)])
def test_value(kind: str, expected: float) -> None:
    loss = losses.build("vanilla", kind=kind)
    assert float(loss(torch.tensor([[30.0], [44.0]]), torch.tensor([31.0, 41.0]))) == pytest.approx(expected)


def test_bend_of_huber() -> None:
    loss = losses.build("vanilla", kind="huber", bend=2.0)
    value = float(loss(torch.tensor([[30.0], [44.0]]), torch.tensor([31.0, 41.0])))
    assert value == pytest.approx((1 / 4 + (3 - 1)) / 2)


def test_deep_expectation_reads_logits() -> None:
    # Even logits over the bins 20, 50 and 80: every row costs log 3.
    loss = losses.build("vanilla", kind="dex", bins=3, train_labels=TRAIN_LABELS)
    assert float(loss(torch.zeros(4, 3), torch.tensor(TRAIN_LABELS))) == pytest.approx(torch.tensor(3.0).log().item())
    peaked = 50.0 * torch.eye(3)[[0, 0, 1, 2]]
    assert float(loss(peaked, torch.tensor(TRAIN_LABELS))) == pytest.approx(0, abs=1e-6)


def test_deep_expectation_without_training_labels_takes_the_batchs() -> None:
    loss = losses.build("vanilla", kind="dex", bins=3)
    y = torch.tensor(TRAIN_LABELS)
    assert torch.equal(
        loss(torch.eye(4)[:, :3], y),
        losses.build("vanilla", kind="dex", bins=3, train_labels=y)(torch.eye(4)[:, :3], y),
    )


@pytest.mark.parametrize(("params", "columns"), [({}, 1), ({"kind": "dex"}, 101), ({"kind": "dex", "bins": 7}, 7)])
def test_outputs_have_the_columns_of_the_error(params: dict[str, Any], columns: int) -> None:
    with pytest.raises(UserError, match=rf"z is torch.float32 \[4, 2\]; allowed: floating point \[N, {columns}\]"):
        losses.build("vanilla", **params)(torch.zeros(4, 2), torch.zeros(4))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_in_training_it_is_the_error_of_its_own_head(kind: str) -> None:
    loss = losses.build("vanilla", kind=kind, train_labels=TRAIN_LABELS, width=6)
    z, y = torch.randn(8, 6, requires_grad=True), torch.linspace(20, 80, 8)
    head = loss.head
    assert isinstance(head, RegressionHead)
    value = loss(z, y)
    torch.testing.assert_close(value, head.errors(head(z), y).mean())
    value.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in loss.parameters())
    probe = loss.probe()
    assert probe is not None
    torch.testing.assert_close(probe.predict(z.detach()).float(), head.predict(head(z)).detach())


def test_without_a_width_there_is_no_head() -> None:
    loss = losses.build("vanilla")
    assert loss.probe() is None
    assert not list(loss.parameters())


def test_its_features_have_the_encoders_width() -> None:
    loss = losses.build("vanilla", train_labels=TRAIN_LABELS, width=6)
    assert loss.reads == "encoder"
    with pytest.raises(UserError, match=r"z is torch.float32 \[4, 5\]; allowed: floating point \[N, 6\]"):
        loss(torch.zeros(4, 5), torch.zeros(4))


@pytest.mark.parametrize("name", ["vanilla", "mixup", "c_mixup", "lds", "fds"])
def test_every_end_to_end_loss_may_have_soft_labels(name: str) -> None:
    settings: dict[str, Any] = {"train_labels": TRAIN_LABELS, "kind": "soft", "soft_bin": 5.0, "soft_sd": 2.0}
    loss = losses.build(name, width=6, **settings)
    z, y = torch.randn(8, 6), torch.linspace(20, 80, 8)
    head = loss.head
    assert isinstance(head, RegressionHead)
    assert head.readout.columns == 1 + -(-(60 + 6 * 2) // 5)
    torch.testing.assert_close(loss(z, y), losses.build(name, **settings)(head(z), y))


@pytest.mark.parametrize("name", ["vanilla", "mixup", "c_mixup", "lds", "fds"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_end_to_end_loss_trains_its_head(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    loss = losses.build(name, train_labels=TRAIN_LABELS, width=6)
    z, y = torch.randn(8, 6, dtype=dtype), torch.linspace(20, 80, 8)
    value = loss(z, y, epoch=2)
    assert value.dtype == dtype
    value.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in loss.parameters())
    assert loss.probe() is not None


@pytest.mark.parametrize("name", ["vanilla", "mixup", "c_mixup", "lds", "fds"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bend": 0.0}, "bend is 0.0; allowed: numbers above 0"),
        ({"bins": 1}, "bins is 1; allowed: whole numbers from 2"),
        ({"bins": 2.5}, "bins is 2.5; allowed: whole numbers from 2"),
        ({"soft_bin": 0.0}, "soft_bin is 0.0; allowed: numbers above 0"),
        ({"soft_sd": -1.0}, "soft_sd is -1.0; allowed: numbers above 0"),
    ],
)
def test_parameters_are_checked(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"loss '{name}': {message}"):
        losses.build(name, **params)
