"""The linear probe against closed forms."""

from typing import Any

import pytest
import torch
from sklearn.linear_model import LinearRegression, QuantileRegressor
from torch import Tensor

from contrasweep.trainers import probes
from contrasweep.trainers.errors import UserError


def noisy(rows: int = 192, width: int = 4, *, outliers: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=generator)
    y = 50 + 10 * x[:, 0].double() - 4 * x[:, 1] + 5 * torch.randn(rows, generator=generator)
    if outliers:
        y[::6] += 60
    return x, y


def predictions(x: Tensor, y: Tensor, **params: Any) -> Tensor:
    return probes.build("linear", **params).fit(x, y, seed=0).predict(x)


def test_mse_comes_to_least_squares() -> None:
    x, y = noisy(outliers=True)
    expected = torch.from_numpy(LinearRegression().fit(x.double(), y).predict(x.double()))
    predicted = predictions(x, y, kind="mse", weight_decay=0.0, batch_size=192, epochs=300)
    torch.testing.assert_close(predicted, expected, rtol=0, atol=0.01)


def test_l1_comes_to_median_regression() -> None:
    x, y = noisy(outliers=True)
    expected = torch.from_numpy(QuantileRegressor(quantile=0.5, alpha=0.0).fit(x.double(), y).predict(x.double()))
    predicted = predictions(x, y, kind="l1", weight_decay=0.0, epochs=300)
    assert float((predicted - y).abs().mean()) < 1.002 * float((expected - y).abs().mean())


@pytest.mark.parametrize("kind", ["l1", "mse", "huber", "soft"])
def test_labels_in_months_are_labels_in_years(kind: str) -> None:
    x, y = noisy()
    years, months = (
        predictions(x, y, kind=kind),
        predictions(x, 12 * y, kind=kind, bend=12.0, soft_bin=12.0, soft_sd=12.0),
    )
    torch.testing.assert_close(months / 12, years, rtol=1e-9, atol=0)


def test_soft_labels_are_followed() -> None:
    x, y = noisy()
    predicted = predictions(x, y, kind="soft", lr=1.0)
    assert float((predicted - y).abs().mean()) < 0.7 * float((y.mean() - y).abs().mean())


def test_deep_expectation_stays_in_the_range_of_the_labels_and_follows_them() -> None:
    x, y = noisy()
    predicted = predictions(x, y, kind="dex", bins=21)
    assert y.min() < predicted.min() and predicted.max() < y.max()
    assert float((predicted - y).abs().mean()) < 0.7 * float((y.mean() - y).abs().mean())


def test_learning_rates_up_to_one_do_not_diverge() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 256, generator=generator) + 5 * torch.randn(200, 1, generator=generator)
    y = 50 + x.double().sum(1)
    assert float((predictions(x, y, kind="mse", lr=1.0, batch_size=32) - y).abs().mean()) < float(y.std())


def test_seeds_differ() -> None:
    x, y = noisy()
    one, other = (probes.build("linear", epochs=3).fit(x, y, seed=seed).predict(x) for seed in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "l2"}, "unknown kind 'l2'; .*allowed: dex, huber, l1, mse, soft"),
        ({"epochs": 0}, "epochs is 0; allowed: whole numbers from 1"),
        ({"epochs": 2.5}, "epochs is 2.5; allowed: whole numbers from 1"),
        ({"batch_size": True}, "batch_size is True; allowed: whole numbers from 1"),
        ({"bins": 1}, "bins is 1; allowed: whole numbers from 2"),
        ({"lr": 0.0}, "lr is 0.0; allowed: numbers above 0"),
        ({"lr": float("nan")}, "lr is nan; allowed: numbers above 0"),
        ({"bend": "1"}, "bend is '1'; allowed: numbers above 0"),
        ({"momentum": 1.0}, "momentum is 1.0; allowed: numbers from 0 to below 1"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; allowed: numbers from 0"),
    ],
)
def test_parameters_are_checked(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"probe 'linear': {message}"):
        probes.build("linear", **params)
