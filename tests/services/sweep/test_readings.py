"""Readings of a sweep's runs: of one that is at hand, and of whole ones that Ray runs."""

import logging
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from contrasweep.search_spaces import Configuration
from contrasweep.services.data.prepare import Prepared, View
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import run_folder, write_configuration
from contrasweep.services.spec.read import ReadConfig
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SweepSpec, parse_spec
from contrasweep.services.sweep.contenders import Listener, Members, complete
from contrasweep.services.sweep.readings import read_configurations
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.config import SplitConfig
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.locked import load_test
from contrasweep.trainers.data.splits import store_splits
from contrasweep.trainers.data.store import Volume
from contrasweep.trainers.pretrain import pretrain
from tests.services.small_study import settings_in, write_study
from tests.services.sweep.test_run import run_quietly, start, wait_for
from tests.trainers.data.small_store import write_store

SPEC = """
name: small
data: {participants: participants.tsv, image: "{participant_id}.npy", label: age}
model: {encoder: resnet18, spatial_dims: 2, width: 0.0625, head_hidden: 16, embedding: 8}
training: {epochs: 2, batch_size: 8, lr: 1.0e-3, augmentations: {cutout: {}}}
read: {probes: [{linear: {epochs: 5}}], features: [projection, encoder], epochs: [1]}
search: {spaces: [exponential, vanilla], seeds: [0, 1], racing: null}
"""
METHODS = ("exponential", "vanilla")
LINEAR = "linear(epochs=5)"
KEYS = ["trial", "run", "epoch", "features", "probe"]


class Sweep:
    """A sweep of two configurations that really trained, but for Ray."""

    def __init__(self, folder: Path) -> None:
        self.spec, self.storage = parse_spec(SPEC, "small.yaml"), folder / "storage"
        rng = np.random.default_rng(0)
        ages = rng.uniform(20, 80, 30)
        images = (rng.normal(size=(30, 1, 8, 8)) + ages[:, None, None, None] / 20).astype(np.float32)
        volumes = [Volume(f"s{row:02d}", age, None, images[row]) for row, age in enumerate(ages)]
        store = write_store(folder / "store", volumes, per_shard=30)
        splits = store_splits(store, SplitConfig())
        self.prepared = Prepared(store, views={None: View(splits)}, whole=splits, rejected=(), reused=True)
        feed = ResidentFeed(load_resident(store, splits))
        for number, method in enumerate(METHODS):
            configuration = Configuration(method, {})
            write_configuration(self.storage, number, configuration, self.spec.plan)
            for run in self.spec.plan.replicates:
                config = run_config(self.spec, configuration, run.seed)
                pretrain(config, feed, run_folder(self.storage, number, run), device=torch.device("cpu"))

    def read(self, final: Path, spec: SweepSpec | None = None) -> pd.DataFrame:
        """Read it all beside `final`; the table."""
        spec = spec or self.spec
        assert spec.read
        listener = Listener(torch.device("cpu"))
        configurations: Sequence[tuple[Prepared, Members]] = [
            (self.prepared, members) for _, members in complete(spec, spec.plan, self.storage)
        ]
        for _, members in configurations:
            list(listener.heard(self.prepared.store, load_test(self.prepared.store, self.prepared.splits), members))
        read_configurations(spec.read, configurations, listener, final)
        return pq.read_table(final.with_name("readings.parquet")).to_pandas()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"))


def files(folder: Path) -> dict[str, bytes]:
    """All that was read, by its name."""
    paths = [folder / "readings.parquet", *sorted((folder / "embeddings").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def test_every_reading_is_there_for_both_splits(sweep: Sweep, tmp_path: Path) -> None:
    table = sweep.read(tmp_path / "final.json")
    splits = sweep.prepared.splits
    spaces = [("projection", "ridge"), ("projection", LINEAR), ("encoder", "ridge"), ("encoder", LINEAR)]
    wanted = {(0, run, epoch, *one) for run in "01" for epoch in (0, 1) for one in spaces}
    wanted |= {(1, run, epoch, "encoder", probe) for run in "01" for epoch in (0, 1) for probe in ("head", LINEAR)}
    found = {key: rows for key, rows in table.groupby(KEYS)}
    assert set(found) == wanted, "vanilla has no projection"
    for rows in found.values():
        assert rows.groupby("split", sort=False).scan.apply(list).to_dict() == {
            "test": [*splits.test],
            "validation": [*splits.validation],
        }
    labels = {subject.id: subject.label for subject in sweep.prepared.store.subjects}
    assert [labels[scan] for scan in table.scan] == table.label.tolist()
    after_one = table.query("epoch == 1").groupby(KEYS).prediction.apply(tuple)
    assert after_one.nunique() == len(after_one), "each says something else"


def test_features_of_the_test_split_stand_beside_it_in_its_order(sweep: Sweep, tmp_path: Path) -> None:
    sweep.read(tmp_path / "final.json")
    folder, test = tmp_path / "embeddings", sweep.prepared.splits.test
    assert (folder / "scans.txt").read_text().splitlines() == [*test]
    widths = {path.stem: np.load(path).shape for path in folder.glob("*.npy")}
    projections = {f"0-{run}-{epoch}-projection": (len(test), 8) for run in "01" for epoch in (0, 1)}
    encoders = {
        f"{trial}-{run}-{epoch}-encoder": (len(test), 32) for trial in (0, 1) for run in "01" for epoch in (0, 1)
    }
    assert widths == projections | encoders
    features = np.load(folder / "0-1-1-projection.npy")
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)


def test_where_nothing_is_said_the_judged_reading_is_alone(sweep: Sweep, tmp_path: Path) -> None:
    spec = sweep.spec.model_copy(update={"read": ReadConfig()})
    table = sweep.read(tmp_path / "final.json", spec)
    assert {key for key, _ in table.groupby(["trial", "epoch", "features", "probe"])} == {
        (0, 0, "projection", "ridge"),
        (1, 0, "encoder", "head"),
    }


def test_what_is_there_already_gives_way_and_the_same_is_written(sweep: Sweep, tmp_path: Path) -> None:
    sweep.read(tmp_path / "final.json")
    before = files(tmp_path)
    (tmp_path / "readings.parquet").write_bytes(b"half")
    (tmp_path / "embeddings/9-0-0-encoder.npy").write_bytes(b"of an earlier one")
    sweep.read(tmp_path / "final.json")
    assert files(tmp_path) == before


def test_what_is_not_there_to_read_is_told(sweep: Sweep, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = run_folder(sweep.storage, 0, Replicate(1)) / "epoch-0001.pt"
    aside = kept.rename(kept.with_suffix(".aside"))
    try:
        with caplog.at_level(logging.INFO, "contrasweep.sweep"):
            table = sweep.read(tmp_path / "final.json")
    finally:
        aside.rename(kept)
    left = {key for key, _ in table.groupby(["trial", "run", "epoch"])}
    assert left == {(0, "0", 0), (0, "0", 1), (0, "1", 0), (1, "0", 0), (1, "0", 1), (1, "1", 0), (1, "1", 1)}
    assert "trial 0 seed 1: epoch 1 is not read: " in caplog.text and "epoch-0001.pt" in caplog.text
    assert "trial 1 seed 0: vanilla has no projection to read" in caplog.text


def test_each_fold_is_read_by_the_run_that_was_validated_on_it(sweep: Sweep, tmp_path: Path) -> None:
    splits = sweep.prepared.splits
    swapped = splits.model_copy(update={"train": splits.validation, "validation": splits.train})
    folds = replace(sweep.prepared, views={0: View(splits), 1: View(swapped)})
    read = sweep.spec.read
    assert read
    run, best = run_config(sweep.spec, Configuration("exponential", {}), 0), run_folder(sweep.storage, 0, Replicate(0))
    members = {Replicate(0, fold, trial=0): (run, best / "best.pt") for fold in (0, 1)}
    listener = Listener(torch.device("cpu"))
    list(listener.heard(folds.store, load_test(folds.store, splits), members))
    read_configurations(read, [(folds, members)], listener, tmp_path / "final.json")
    table = pq.read_table(tmp_path / "readings.parquet").to_pandas().query("split == 'validation'")
    for run_of, held_out in (("fold 0 seed 0", splits.validation), ("fold 1 seed 0", splits.train)):
        assert {*table[table.run == run_of].scan} == {*held_out}
    assert (tmp_path / "embeddings/0-fold-1-seed-0-1-encoder.npy").exists()


READ: dict[str, Any] = {
    "probes": [{"linear": {"epochs": 5}}, {"linear": {"kind": "huber", "epochs": 5}}],
    "features": ["projection", "encoder"],
    "epochs": [1, 2],
}
SEARCH: dict[str, Any] = {"spaces": ["exponential", "vanilla"], "trials": 2, "seeds": [0, 1], "racing": None}


@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_sweep_is_read_and_one_that_was_killed_after_its_first_seed_gives_the_same_bytes(
    tmp_path: Path, ray_local: None
) -> None:
    loaded, settings = write_study(tmp_path, search=SEARCH, read=READ), settings_in(tmp_path / "home")
    run_quietly(loaded, settings)
    calm = settings.sweeps / loaded.sweep_id
    table = pq.read_table(calm / "readings.parquet").to_pandas()
    probes = {"ridge", LINEAR, "linear(epochs=5, kind=huber)"}
    wanted = {
        (0, run, epoch, space, probe)
        for run in "01"
        for epoch in (0, 1, 2)
        for space in ("projection", "encoder")
        for probe in probes
    }
    wanted |= {
        (1, run, epoch, "encoder", probe)
        for run in "01"
        for epoch in (0, 1, 2)
        for probe in {"head", *probes} - {"ridge"}
    }
    assert {key for key, _ in table.groupby(KEYS)} == wanted
    judged = pq.read_table(calm / "test_predictions.parquet").to_pandas()
    own = table.query("epoch == 0 and split == 'test'")
    own = own[(own.probe == "head") | ((own.probe == "ridge") & (own.features == "projection"))]
    order = ["trial", "run", "scan"]
    pd.testing.assert_frame_equal(
        own[judged.columns].sort_values(order, ignore_index=True),
        judged.sort_values(order, ignore_index=True),
        check_exact=True,
    )

    disturbed = settings_in(tmp_path / "disturbed")
    driver = start(loaded.path, disturbed.home)
    first = run_folder(Path(disturbed.storage_path) / loaded.sweep_id, 0, Replicate(0)) / "epoch-0002.pt"
    wait_for(lambda: first.exists() or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    printed, _ = driver.communicate(timeout=120)
    assert not (disturbed.sweeps / loaded.sweep_id / "final.json").exists(), printed
    run_quietly(SweepFolder.find(disturbed, "small").load(), disturbed)
    assert files(disturbed.sweeps / loaded.sweep_id) == files(calm)
