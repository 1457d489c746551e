"""Regression heads against their equations, written out in NumPy."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from contrasweep.trainers import probes
from contrasweep.trainers.regression import Kind, RegressionHead, readout

LABELS = [20.0, 30.0, 30.0, 45.0, 80.0]
BATCH = torch.tensor([21.0, 44.0, 80.0, 20.0, 63.2, 30.0], dtype=torch.float64)


def head(kind: Kind, labels: list[float] = LABELS, **params: Any) -> RegressionHead:
    torch.manual_seed(0)
    return RegressionHead(8, readout(kind, labels, **params))


def features(rows: int = 6, *, seed: int = 1) -> Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


@pytest.mark.parametrize("kind", ["l1", "mse", "huber"])
def test_points_are_a_linear_map_in_the_labels_unit(kind: Kind) -> None:
    one = head(kind)
    weight, bias = one.linear.weight.detach().double().numpy(), one.linear.bias.detach().double().numpy()
    expected = np.mean(LABELS) + np.std(LABELS) * (features().numpy() @ weight[0] + bias[0])
    outputs = one(features())
    assert outputs.shape == (6, 1)
    np.testing.assert_allclose(one.predict(outputs).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("l1", lambda e: abs(e)),
        ("mse", lambda e: e**2),
        ("huber", lambda e: e**2 / 6 if abs(e) < 3 else abs(e) - 1.5),
    ],
)
def test_point_errors(kind: Kind, error: Any) -> None:
    outputs = torch.tensor([[21.0], [46.0], [70.0]], dtype=torch.float64)
    errors = readout(kind, LABELS, bend=3.0).errors(outputs, torch.tensor([20.5, 50.0, 70.0]))
    assert errors.tolist() == pytest.approx([error(0.5), error(-4.0), error(0.0)])


def test_deep_expectation() -> None:
    reading = readout("dex", LABELS, bins=4)
    centres = [20.0, 40.0, 60.0, 80.0]
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = [softmax(row) for row in logits.numpy()]
    assert reading.predict(logits).tolist() == pytest.approx([float(share @ centres) for share in shares])
    nearest = [1, 3, 0]  # of 31, and of labels outside the training range
    expected = [-np.log(share[k]) for share, k in zip(shares, nearest, strict=True)]
    assert reading.errors(logits, torch.tensor([31.0, 500.0, -3.0])).tolist() == pytest.approx(expected)


def test_soft_labels() -> None:
    """SFCN: the mass of a normal distribution in each bin, and Kullback and Leibler's divergence from it."""
    reading = readout("soft", LABELS, soft_bin=2.0, soft_sd=1.5)
    centres = np.arange(20 - 4.5, 80 + 4.5 + 2, 2.0)
    logits = torch.randn(4, len(centres), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = [31.0, 20.0, 80.0, 500.0]  # the last one outside the training range
    expected = []
    for row, label in zip(logits.numpy(), y, strict=True):
        ends = np.r_[-np.inf, centres[:-1] + 1, np.inf]
        soft = np.diff([0.5 * (1 + math.erf((end - label) / 1.5 / math.sqrt(2))) for end in ends])
        expected.append(sum(q * math.log(q / p) for q, p in zip(soft, softmax(row), strict=True) if q > 0))
    np.testing.assert_allclose(reading.errors(logits, torch.tensor(y)).numpy(), expected, rtol=1e-8)
    shares = [float(softmax(row) @ centres) for row in logits.numpy()]
    assert reading.predict(logits).tolist() == pytest.approx(shares)


@pytest.mark.parametrize("label", [20.0, 33.3, 80.0])
def test_what_is_nearest_to_a_soft_label_predicts_it(label: float) -> None:
    reading = readout("soft", LABELS)
    logits = torch.zeros(1, reading.columns, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([label], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(reading.errors(logits, y).sum(), logits)
    nearest = (logits.softmax(1) - gradient).clamp_min(1e-300).log()  # the gradient is softmax - q
    assert reading.errors(nearest, y).item() == pytest.approx(0, abs=1e-8)
    assert reading.predict(nearest).item() == pytest.approx(label, abs=0.01)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_starts_near_the_mean_of_the_labels(kind: Kind) -> None:
    # Of labels that are symmetric in their range, the truncated normal prior keeps the mean.
    labels = np.linspace(20, 80, 61).tolist()
    one = head(kind, labels)
    torch.nn.init.zeros_(one.linear.weight)
    torch.nn.init.zeros_(one.linear.bias)
    torch.testing.assert_close(one.predict(one(features())), torch.full((6,), 50.0, dtype=torch.float64))


def test_deep_expectation_starts_as_the_labels_normal_distribution() -> None:
    labels = np.random.default_rng(0).normal(50, 10, 4000)
    reading = readout("dex", labels.tolist())
    shares, centres = softmax(reading.offset.numpy()), np.linspace(labels.min(), labels.max(), 101)
    assert shares @ centres == pytest.approx(labels.mean(), abs=0.1)
    assert shares @ (centres - 50) ** 2 == pytest.approx(labels.var(), rel=0.05)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_another_unit_is_the_same_head(kind: Kind) -> None:
    years, months = head(kind), head(kind, [12 * y for y in LABELS], soft_bin=12.0, soft_sd=12.0)
    torch.testing.assert_close(months.predict(months(features())), 12 * years.predict(years(features())))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_probe_predicts_as_the_head_in_float64(kind: Kind) -> None:
    one = head(kind).double()
    expected = one.predict(one(features(40, seed=5))).detach()
    torch.testing.assert_close(one.probe().predict(features(40, seed=5)), expected, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_probe_is_frozen(kind: Kind) -> None:
    one = head(kind)
    probe = one.probe()
    before = probe.predict(features())
    with torch.no_grad():
        one.linear.weight.add_(1)
    assert torch.equal(probe.predict(features()), before)
    assert not any(isinstance(value, Tensor) and value.requires_grad for value in probe.state().values())
    assert torch.equal(probes.load_probe(probe.state()).predict(features()), before)


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("constant", [0.1, 50.0])
def test_equal_labels_give_a_head_that_trains(kind: Kind, constant: float) -> None:
    one = head(kind, [constant] * 3)
    outputs = one(features())
    assert one.predict(outputs).isfinite().all()
    one.errors(outputs, BATCH).mean().backward()
    gradient = one.linear.weight.grad
    assert gradient is not None and gradient.isfinite().all() and gradient.any()


@pytest.mark.parametrize("kind", get_args(Kind))
def test_gradients_match_finite_differences(kind: Kind) -> None:
    one = head(kind, bins=5).double()
    x = features().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: one.errors(one(x), BATCH), x)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_descent_comes_to_the_labels(kind: Kind) -> None:
    one = head(kind, bins=61).double()
    x = features()
    optimizer = torch.optim.Adam(one.parameters())
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 400)
        optimizer.zero_grad()
        one.errors(one(x), BATCH).mean().backward()
        optimizer.step()
    # The centres are a year apart: the nearest one is half a year off at most.
    assert (one.predict(one(x)) - BATCH).abs().max() < 0.8
