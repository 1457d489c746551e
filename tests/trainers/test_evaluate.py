"""Evaluation on the frozen embedding."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data import store
from contrasweep.trainers.data.feeds.resident import ResidentFeed
from contrasweep.trainers.errors import Diverged
from contrasweep.trainers.evaluate import Embedding, embed, evaluate, judge
from contrasweep.trainers.losses import Loss, Rows
from contrasweep.trainers.metrics import METRICS
from contrasweep.trainers.model import Model, build_model
from contrasweep.trainers.network import Network
from contrasweep.trainers.probes import Probe
from contrasweep.trainers.probes.ridge import Ridge, RidgeProbe
from tests.trainers import tiny

CPU = torch.device("cpu")


def built(method: str = "exponential", **model: Any) -> Model:
    torch.manual_seed(0)
    return build_model(tiny.run(method, model=model), tiny.feed())


def test_rows_come_in_the_stores_order() -> None:
    feed, model = tiny.feed(), built().network
    batches = list(feed.evaluation("train", batch_size=4, rank=0, world_size=1))
    forward, backward = embed(model, batches), embed(model, batches[::-1])
    whole = tiny.split(18, first_row=0, seed=1)
    assert forward.labels.tolist() == whole.labels.tolist()
    torch.testing.assert_close(forward.features, model(torch.from_numpy(whole.images)).features)
    assert torch.equal(backward.features, forward.features)


def test_the_size_of_the_batch_does_not_count() -> None:
    rows = [evaluate(built(), tiny.feed(), tiny.run(batch_size=size), CPU)[0] for size in (3, 18)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)


def test_probe_and_figures_are_of_the_tables_labels_whatever_is_taught() -> None:
    data = tiny.data()
    feed = ResidentFeed(tiny.taught(data, taught=np.where(data.parts.train.labels < 50, 30.0, 70.0)))
    assert evaluate(built(), feed, tiny.run(), CPU)[0] == evaluate(built(), tiny.feed(), tiny.run(), CPU)[0]


def test_embedding_leaves_the_network_as_it_was() -> None:
    model = built().network.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    embedding = embed(model, tiny.feed().evaluation("train", batch_size=8, rank=0, world_size=1))
    assert not embedding.features.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_probe_is_fitted_on_training_and_judged_on_validation() -> None:
    feed, model = tiny.feed(), built()
    row, probe = evaluate(model, feed, tiny.run(), CPU)
    train, validation = (
        embed(model.network, feed.evaluation(split, batch_size=8, rank=0, world_size=1))
        for split in ("train", "validation")
    )
    own = Ridge().fit(*train)
    assert isinstance(probe, RidgeProbe)
    assert torch.equal(probe.weight, own.weight)
    truth, predicted = validation.labels.numpy(), own.predict(validation.features).numpy()
    assert row.keys() == {f"validation_{name}" for name in METRICS} | {"train_mae", "validation_mae_few"}
    assert row["validation_mae_few"] == row["validation_mae"], "18 people make no label frequent"
    assert row["validation_mae"] == pytest.approx(np.abs(truth - predicted).mean())
    assert row["validation_pearson"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1])
    fitted = own.predict(train.features).numpy()
    assert row["train_mae"] == pytest.approx(np.abs(train.labels.numpy() - fitted).mean())


class Brightness(nn.Module):
    """Images [N, 1, H, W] -> their mean [N, 1]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


class Line:
    """Features [N, 1] -> 20 x + 3."""

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        return 20 * features.double().squeeze(1) + 3

    def state(self) -> dict[str, Any]:
        return {}


class Straight(Loss):
    """A loss that trained a line along."""

    def compute(self, rows: Rows) -> torch.Tensor:
        return rows.z.sum()

    def probe(self) -> Probe:
        return Line()


def test_an_end_to_end_network_is_judged_by_its_own_head() -> None:
    model = Model(Network(Brightness(), None, "encoder"), Straight())
    row, probe = evaluate(model, tiny.feed(), tiny.run("vanilla"), CPU)
    whole = tiny.split(10, first_row=1, seed=2)
    expected = np.abs(20 * whole.images.mean((1, 2, 3)) + 3 - whole.labels).mean()
    assert isinstance(probe, Line) and "train_mae" not in row
    assert row["validation_mae"] == pytest.approx(expected, rel=1e-5)


def test_what_is_asked_for_is_measured_and_nothing_else() -> None:
    feed, model = tiny.feed(validation=20), built()
    usual, _ = evaluate(model, feed, tiny.run(), CPU)
    asked = {"objectives": ("worst_group_mae", "site"), "costs": ("parameters", "seconds_per_scan", "epoch_seconds")}
    began = time.perf_counter()
    row, probe = evaluate(model, feed, tiny.run().model_copy(update=asked), CPU)
    took = time.perf_counter() - began
    added = {"validation_worst_group_mae", "validation_site", "parameters", "seconds_per_scan"}
    assert row.keys() - usual.keys() == added
    assert {key: row[key] for key in usual} == usual
    validation = embed(model.network, feed.evaluation("validation", batch_size=8, rank=0, world_size=1))
    errors = (probe.predict(validation.features) - validation.labels).abs()
    assert row["validation_worst_group_mae"] == pytest.approx(float(max(errors[::2].mean(), errors[1::2].mean())))
    assert row["parameters"] == sum(p.numel() for p in model.network.encoder.parameters())
    assert 0 < row["seconds_per_scan"] * 20 < took


def test_covariates_say_nothing_of_what_the_embedding_knows() -> None:
    """The group is a covariate here, which a probe reads beside the embedding."""
    train, validation = tiny.split(18, first_row=0, seed=1), tiny.split(20, first_row=1, seed=2)
    covariates = Covariates.fit(["site"], [{"site": "A"}, {"site": "B"}])

    def told(rows: store.Rows) -> store.Rows:
        assert rows.groups is not None
        return replace(rows, covariates=covariates.encode([{"site": "AB"[group]} for group in rows.groups]))

    beside = tiny.resident(told(train), told(validation), covariates=covariates)
    run = tiny.run().model_copy(update={"objectives": ("mae", "site")})
    with_covariates, _ = evaluate(built(), ResidentFeed(beside), run, CPU)
    without, _ = evaluate(built(), ResidentFeed(tiny.resident(train, validation)), run, CPU)
    assert with_covariates["validation_site"] == without["validation_site"]


def test_predictions_that_are_not_finite() -> None:
    class Lost(Line):
        def predict(self, features: torch.Tensor) -> torch.Tensor:
            return super().predict(features) * math.inf

    validation = Embedding(torch.ones(3, 1), torch.tensor([20.0, 30.0, 40.0]))
    with pytest.raises(Diverged, match="the probe's predictions hold numbers that are not finite"):
        judge(Lost(), validation, [20.0, 80.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite(bad: float) -> None:
    model = built()
    nn.init.constant_(model.network.head[-1].bias, bad)  # type: ignore[index]
    with pytest.raises(Diverged, match="embedding holds numbers that are not finite"):
        evaluate(model, tiny.feed(), tiny.run(), CPU)
