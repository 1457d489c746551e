"""Readings of runs that really trained, on a store whose scans have covariates and are normalised."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrasweep.trainers import probes
from contrasweep.trainers.config import FeatureSpace, MethodConfig, RunConfig, SplitConfig
from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.locked import load_test
from contrasweep.trainers.data.normalization import store_normalization
from contrasweep.trainers.data.splits import Splits, store_splits
from contrasweep.trainers.data.store import Volume, VolumeStore, in_parts
from contrasweep.trainers.errors import Diverged
from contrasweep.trainers.finetune import train_seed
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.readings import Reader
from tests.trainers import tiny
from tests.trainers.data.small_store import write_store

CPU = torch.device("cpu")
BRANCH = MethodConfig(name="adacon", params={"regression": 1.0})
ON_PROJECTION = MethodConfig(name="rank_n_contrast", params={"on": "projection"})
HUBER: dict[str, dict[str, Any]] = {"linear": {"kind": "huber", "epochs": 5}}
HUBER_WORDS = "linear(epochs=5, kind=huber)"


@dataclass(frozen=True)
class Trained:
    """A store, and the folders of runs by what they are."""

    store: VolumeStore
    splits: Splits
    runs: Mapping[str, tuple[RunConfig, Path]]

    def reader(self, name: str, epoch: int = 0) -> Reader:
        run, folder = self.runs[name]
        return Reader.load(run, folder, epoch, self.store, self.splits, CPU)

    def images(self, ids: tuple[str, ...]) -> np.ndarray:
        return self.store.read_rows(self.store.rows_of(ids))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("readings")
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 80, 30)
    images = rng.normal(size=(30, *tiny.IMAGE_SHAPE)) + ages[:, None, None, None] / 20
    volumes = [Volume(f"s{row:02d}", age, None, images[row].astype(np.float32)) for row, age in enumerate(ages)]
    told = {volume.id: {"covariates": {"tiv": float(place)}} for place, volume in enumerate(volumes)}
    store = write_store(folder / "store", volumes, per_shard=10, told=told)
    splits = store_splits(store, SplitConfig())
    covariates = Covariates.fit(["tiv"], store.cells_of(store.rows_of(splits.train)))
    feed = ResidentFeed(load_resident(store, splits, store_normalization(store, splits), covariates))
    kept = {"keep": (1, 2)}
    tuned = {"probe": {"finetune": {"epochs": 2}}, **kept}
    runs = {
        "projection": tiny.run("exponential", epochs=2).model_copy(update=kept),
        "encoder": tiny.run("exponential", epochs=2, model={"features": "encoder"}).model_copy(update=kept),
        "vanilla": tiny.run("vanilla", epochs=2).model_copy(update=kept),
        "tuned": tiny.run("supremix", epochs=1).model_copy(update=tuned),
        "mae": tiny.run("mae", epochs=2).model_copy(update=kept),
        "branch": tiny.run("adacon", epochs=2).model_copy(update={"method": BRANCH, **kept}),
        "on projection": tiny.run("rank_n_contrast", epochs=2, model={"features": "projection"}).model_copy(
            update={"method": ON_PROJECTION, **kept}
        ),
    }
    for name, run in runs.items():
        train_seed(run, feed, folder / name, device=CPU)
    return Trained(store, splits, {name: (run, folder / name) for name, run in runs.items()})


def predictions(trained: Trained, reader: Reader, space: FeatureSpace, probe: str, *further: Any) -> np.ndarray:
    """What a probe says of the test split."""
    read = reader.embed(load_test(trained.store, trained.splits)).read(space)
    return np.asarray(reader.probes(space, further)[probe].predict(read).numpy())


@pytest.mark.parametrize("name", ["projection", "encoder", "vanilla", "tuned", "mae"])
def test_the_judged_reading_is_what_the_run_predicts(trained: Trained, name: str) -> None:
    reader, (run, folder) = trained.reader(name), trained.runs[name]
    predictor = Predictor.load(run, folder / "best.pt", tiny.IMAGE_SHAPE)
    cells = trained.store.cells_of(trained.store.rows_of(trained.splits.test))
    inferred = predictor.infer(trained.images(trained.splits.test), cells)
    embedded = reader.embed(load_test(trained.store, trained.splits))
    np.testing.assert_allclose(embedded.spaces[reader.space].numpy(), inferred.features, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        predictions(trained, reader, reader.space, reader.judged), inferred.predictions, rtol=1e-4
    )
    assert embedded.rows.tolist() == trained.store.rows_of(trained.splits.test).tolist()


@pytest.mark.parametrize(
    ("name", "judged", "space", "spaces"),
    [
        ("projection", "ridge", "projection", ("encoder", "projection")),
        ("encoder", "ridge", "encoder", ("encoder", "projection")),
        ("vanilla", "head", "encoder", ("encoder",)),
        ("tuned", "head", "encoder", ("encoder",)),
        ("mae", "ridge", "encoder", ("encoder",)),
        ("branch", "head", "encoder", ("encoder", "projection")),
        ("on projection", "ridge", "projection", ("encoder", "projection")),
    ],
)
def test_spaces_and_probes_are_those_of_the_method(
    trained: Trained, name: str, judged: str, space: FeatureSpace, spaces: tuple[FeatureSpace, ...]
) -> None:
    reader = trained.reader(name)
    assert (reader.judged, reader.space, reader.spaces) == (judged, space, spaces)
    assert list(reader.probes(space, [HUBER])) == [judged, HUBER_WORDS]
    assert list(reader.probes(space, [{"ridge": {}}])) == list(dict.fromkeys([judged, "ridge"]))
    for other in {*spaces} - {space}:
        assert list(reader.probes(other, [HUBER])) == [*(["ridge"] if judged == "ridge" else []), HUBER_WORDS]


def test_two_runs_that_differ_in_what_is_judged_have_the_same_readings(trained: Trained) -> None:
    """Training is the same: what one is judged by is fitted for the other."""
    one, other = trained.reader("projection", 2), trained.reader("encoder", 2)
    for space in one.spaces:
        for probe in ("ridge", "linear(epochs=5, kind=huber)"):
            np.testing.assert_array_equal(
                predictions(trained, one, space, probe, HUBER), predictions(trained, other, space, probe, HUBER)
            )


def test_a_probe_is_fitted_on_training_features_with_covariates_behind_them(trained: Trained) -> None:
    """Against the network's own forward pass, scan by scan, on images that were normalised by hand."""
    reader = trained.reader("projection", 1)
    store, splits, network = trained.store, trained.splits, reader.predictor.network
    train, test = (torch.from_numpy(trained.images(ids)) for ids in (splits.train, splits.test))
    rows = [store.rows_of(ids) for ids in (splits.train, splits.test)]
    tiv = [np.array([float(cells["tiv"]) for cells in store.cells_of(some)]) for some in rows]
    scaled = [torch.from_numpy((one - tiv[0].mean()) / tiv[0].std()).float()[:, None] for one in tiv]
    with torch.no_grad():
        encoded = [
            torch.cat([network.encoder((image[None] - train.mean()) / train.std(correction=0)) for image in images])
            for images in (train, test)
        ]
    read = [torch.cat(both, dim=1) for both in zip(encoded, scaled, strict=True)]
    labels = torch.from_numpy(store.labels[rows[0]])
    expected = probes.build("ridge").fit(read[0], labels, seed=0).predict(read[1])
    np.testing.assert_allclose(predictions(trained, reader, "encoder", "ridge"), expected.numpy(), rtol=1e-3)


@pytest.mark.parametrize("name", ["projection", "vanilla", "tuned"])
def test_after_an_epoch_the_judged_probe_reads_what_validation_measured_then(trained: Trained, name: str) -> None:
    _, folder = trained.runs[name]
    rows = json.loads((folder / "history.json").read_text())["epochs"]
    validation = trained.store.rows_of(trained.splits.validation)
    for epoch in (1, 2):
        reader = trained.reader(name, epoch)
        read = reader.embed(in_parts(trained.store, validation)).read(reader.space)
        said = reader.probes(reader.space, [])[reader.judged].predict(read).numpy()
        assert mae(trained.store.labels[validation], said) == pytest.approx(rows[epoch - 1]["validation_mae"], rel=1e-4)


def test_weights_that_were_not_kept_are_missed(trained: Trained) -> None:
    with pytest.raises(FileNotFoundError, match=r"epoch-0003\.pt"):
        trained.reader("vanilla", 3)


def test_features_that_are_not_finite_are_refused(trained: Trained) -> None:
    reader = trained.reader("vanilla")
    next(reader.predictor.network.parameters()).data.fill_(float("nan"))
    with pytest.raises(Diverged, match="not finite"):
        reader.embed(load_test(trained.store, trained.splits))
