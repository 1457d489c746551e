"""The ridge probe against scikit-learn's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import linear_model
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from contrasweep.trainers import checkpoint
from contrasweep.trainers.probes import load_probe
from contrasweep.trainers.probes.ridge import PENALTIES, Ridge, RidgeProbe


def data(train: int, held_out: int, features: int, *, noise: float = 5.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features of unlike scales, and labels that follow some of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 10.0 ** rng.uniform(-3, 3, features), (train + held_out, features))
    weight = rng.normal(size=features) * (np.arange(features) < 5)
    y = 50 + (x - 3) / x.std(0) @ weight * 5 + rng.normal(0, noise, train + held_out)
    images, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    return images[:train], labels[:train], images[train:], labels[train:]


def sklearn_predictions(penalty: float, train: Tensor, labels: Tensor, held_out: Tensor) -> np.ndarray:
    scaler = StandardScaler().fit(train.double())
    model = linear_model.Ridge(alpha=penalty).fit(scaler.transform(train.double()), labels)
    return np.asarray(model.predict(scaler.transform(held_out.double())))


SHAPES = pytest.mark.parametrize(("train", "features"), [(60, 10), (20, 50)], ids=["tall", "wide"])


@SHAPES
def test_predicts_as_scikit_learn(train: int, features: int) -> None:
    x, y, held_out, _ = data(train, 30, features)
    probe = Ridge().fit(x, y)
    expected = sklearn_predictions(float(probe.penalty), x, y, held_out)
    np.testing.assert_allclose(probe.predict(held_out).numpy(), expected, rtol=1e-9)


@SHAPES
def test_keeps_the_penalty_that_is_best_where_each_row_is_left_out_once(train: int, features: int) -> None:
    """The features' scale is that of all rows, as it is in the closed form."""
    x, y, _, _ = data(train, 30, features, noise=8.0)
    standardised = StandardScaler().fit_transform(x.double())
    errors = []
    for penalty in PENALTIES:
        left_out = []
        for row in range(train):
            others = np.arange(train) != row
            # one more column, without a penalty, is the intercept
            design = np.column_stack([standardised[others], np.ones(train - 1)])
            shrink = float(penalty) * np.diag([1.0] * features + [0.0])
            weight = np.linalg.solve(design.T @ design + shrink, design.T @ y[others].numpy())
            left_out.append(abs(np.append(standardised[row], 1) @ weight - float(y[row])))
        errors.append(np.mean(left_out))
    chosen = float(Ridge().fit(x, y).penalty)
    assert chosen == pytest.approx(float(PENALTIES[int(np.argmin(errors))]))
    assert float(PENALTIES[0]) < chosen < float(PENALTIES[-1]), "an end of the grid would show nothing"


def test_labels_unrelated_to_the_features_give_nearly_the_mean() -> None:
    x, _, held_out, _ = data(40, 40, 30)
    generator = torch.Generator().manual_seed(0)
    y = 50 + 10 * torch.randn(40, generator=generator, dtype=torch.float64)
    predicted = Ridge().fit(x, y).predict(held_out)
    assert (predicted - y.mean()).abs().max() < 3


def test_a_dead_feature_changes_nothing() -> None:
    x, y, held_out, _ = data(60, 30, 10)

    def with_dead(features: Tensor) -> Tensor:
        return torch.cat([features, torch.full((len(features), 2), 0.3)], dim=1)

    plain = Ridge().fit(x, y)
    dead = Ridge().fit(with_dead(x), y)
    torch.testing.assert_close(dead.predict(with_dead(held_out)), plain.predict(held_out), rtol=1e-6, atol=0)


def test_an_embedding_that_collapsed_predicts_the_mean() -> None:
    labels = torch.tensor([20.0, 40.0, 90.0])
    probe = Ridge().fit(torch.ones(3, 4), labels)
    torch.testing.assert_close(probe.predict(torch.ones(2, 4)), torch.full((2,), 50.0, dtype=torch.float64))


def test_ridge_round_trip(tmp_path: Path) -> None:
    x, y, held_out, _ = data(60, 30, 10)
    probe = Ridge().fit(x, y)
    checkpoint.save(tmp_path / "best.pt", {"probe": probe.state()})
    loaded = load_probe(checkpoint.load(tmp_path / "best.pt")["probe"])
    assert isinstance(loaded, RidgeProbe)
    assert torch.equal(loaded.predict(held_out), probe.predict(held_out))


def test_order_of_the_subjects_does_not_matter() -> None:
    x, y, held_out, _ = data(60, 30, 10)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    plain = Ridge().fit(x, y)
    shuffled = Ridge().fit(x[order], y[order])
    assert shuffled.penalty == plain.penalty
    torch.testing.assert_close(shuffled.predict(held_out), plain.predict(held_out), rtol=1e-9, atol=1e-9)
