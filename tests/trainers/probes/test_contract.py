"""What every registered probe must do; a new one inherits all of it."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import checkpoint, probes
from contrasweep.trainers.errors import UserError

MEAN, SPREAD = 50.0, 18.0


class Data(NamedTuple):
    features: Tensor
    labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor


def planted(train: int = 200, width: int = 5, *, scale: float = 1.0, shift: float = 0.0, noise: float = 0.0) -> Data:
    """Labels that are a linear function of the features, and noise, in label units."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(train + 100, width, generator=generator)
    weight = torch.randn(width, generator=generator, dtype=torch.float64)
    y = MEAN + SPREAD * x.double() @ weight / weight.norm() + noise * torch.randn(len(x), generator=generator)
    features = scale * x + shift
    return Data(features[:train], y[:train], features[train:], y[train:])


def fit(name: str, data: Data, seed: int = 0) -> probes.Probe:
    return probes.build(name).fit(data.features, data.labels, seed=seed)


def held_out_mae(probe: probes.Probe, data: Data) -> float:
    return float((probe.predict(data.held_out) - data.held_out_labels).abs().mean())


@pytest.fixture(params=probes.names())
def name(request: pytest.FixtureRequest) -> str:
    """Every registered probe in turn."""
    return str(request.param)


def test_all_probes_are_found() -> None:
    assert {"linear", "ridge"} <= set(probes.names())


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e4, 0.0), (1e-3, 0.0), (10.0, 500.0)])
def test_a_planted_linear_relation_is_recovered(name: str, scale: float, shift: float) -> None:
    data = planted(scale=scale, shift=shift)
    probe = fit(name, data)
    assert held_out_mae(probe, data) < 0.02 * SPREAD
    assert float((probe.predict(data.features) - data.labels).abs().mean()) < 0.02 * SPREAD


def test_noise_is_not_learnt_by_heart(name: str) -> None:
    # Least squares with 5 weights and 200 rows comes within a few per cent of the noise's own mean, 9 sqrt(2 / pi).
    data = planted(noise=9.0)
    assert held_out_mae(fit(name, data), data) < 1.15 * 9 * (2 / torch.pi) ** 0.5


def test_predictions_are_float64_on_the_cpu(name: str) -> None:
    data = planted()
    assert data.features.dtype == torch.float32
    predicted = fit(name, data).predict(data.held_out)
    assert predicted.dtype == torch.float64
    assert predicted.shape == (100,)
    assert not predicted.requires_grad


def test_fewer_rows_than_features(name: str) -> None:
    data = planted(train=20, width=64)
    predicted = fit(name, data).predict(data.held_out)
    assert predicted.isfinite().all()
    assert ((predicted - MEAN).abs() < 10 * SPREAD).all()


def test_features_that_are_all_alike_give_one_prediction(name: str) -> None:
    data = planted()
    collapsed = Data(torch.full_like(data.features, 0.3), data.labels, torch.full_like(data.held_out, 0.3), data[3])
    predicted = fit(name, collapsed).predict(collapsed.held_out)
    assert float(predicted.max() - predicted.min()) == 0
    assert data.labels.min() < predicted[0] < data.labels.max()


def test_a_constant_feature_changes_little(name: str) -> None:
    data = planted()

    def with_constant(features: Tensor) -> Tensor:
        return torch.cat([features, torch.full((len(features), 1), 0.3)], dim=1)

    wider = Data(with_constant(data.features), data.labels, with_constant(data.held_out), data.held_out_labels)
    assert held_out_mae(fit(name, wider), wider) < 0.02 * SPREAD


@pytest.mark.parametrize("constant", [0.0, 0.1, 71.0])
def test_one_constant_label(name: str, constant: float) -> None:
    data = planted()
    labels, held_out_labels = torch.full_like(data.labels, constant), torch.full_like(data.held_out_labels, constant)
    predicted = fit(name, Data(data.features, labels, data.held_out, held_out_labels)).predict(data.held_out)
    torch.testing.assert_close(predicted, held_out_labels, rtol=0, atol=0.1)


def test_round_trip_without_pickled_code(name: str, tmp_path: Path) -> None:
    data = planted(noise=3.0)
    probe = fit(name, data)
    checkpoint.save(tmp_path / "best.pt", {"probe": probe.state()})
    loaded = probes.load_probe(checkpoint.load(tmp_path / "best.pt")["probe"])
    assert torch.equal(loaded.predict(data.held_out), probe.predict(data.held_out))


def test_same_seed_same_probe(name: str) -> None:
    data = planted(noise=3.0)
    first, torch_state = fit(name, data, seed=3), torch.get_rng_state()
    torch.randn(5)
    again = fit(name, data, seed=3)
    assert torch.equal(first.predict(data.held_out), again.predict(data.held_out))
    torch.set_rng_state(torch_state)


def test_torchs_generator_stays_as_it_was(name: str) -> None:
    before = torch.get_rng_state()
    fit(name, planted())
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_are_checked(name: str) -> None:
    with pytest.raises(UserError, match=f"probe '{name}' has no parameter 'epoch'"):
        probes.build(name, epoch=3)


def test_an_unknown_probe() -> None:
    with pytest.raises(UserError, match=r"unknown probe 'rigde'; did you mean 'ridge'\? allowed: linear, ridge"):
        probes.build("rigde")


def test_a_state_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="unknown kind of fitted probe 'direct'"):
        probes.load_probe({"kind": "direct"})
