"""Finalize on a store of 40 small images and a sweep of two configurations that really trained."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from mlflow import MlflowClient

from contrasweep.search_spaces import Configuration
from contrasweep.services.data.prepare import Prepared, Stored, View
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.looks import Looks
from contrasweep.services.records.tested import read_tested
from contrasweep.services.records.trial_record import keep_race, run_folder, write_configuration
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import FinalConfig, RacingConfig, SweepSpec, parse_spec
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.ensemble import choose_ensemble
from contrasweep.services.sweep.finalize import choose_winner, finalize
from contrasweep.services.sweep.trial import run_config
from contrasweep.services.text import interval
from contrasweep.trainers.config import SplitConfig
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.splits import Splits, store_splits
from contrasweep.trainers.data.store import Volume, VolumeStore
from contrasweep.trainers.data.volume import Scan
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.exports.export import export
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.pretrain import pretrain
from contrasweep.trainers.served import ServedModel
from tests.trainers.data.small_store import write_store

SHAPE = (1, 8, 8)
SPEC = """
name: small
data:
  participants: participants.tsv
  image: "{participant_id}.npy"
  label: age
  unit: months
  licence: CC BY 4.0
  external: [{name: adni, participants: adni/participants.tsv, image: "{participant_id}.npy"}]
model: {encoder: resnet18, spatial_dims: 2, width: 0.0625, head_hidden: 16, embedding: 8}
training: {epochs: 2, batch_size: 8, lr: 1.0e-3, augmentations: {cutout: {}}}
search: {spaces: [exponential, vanilla], seeds: [0, 1]}
"""
CONFIGURATIONS = (Configuration("exponential", {}), Configuration("vanilla", {}))


@dataclass(frozen=True)
class Study:
    """A sweep that is ready to be finalized."""

    spec: SweepSpec
    storage: Path
    prepared: Prepared


def _store(folder: Path, people: int = 40, seed: int = 0, noise: int = 0) -> VolumeStore:
    """40 subjects, or another number of `people`, whose brightness follows age; `noise` is the seed of the rest."""
    ages = np.random.default_rng(seed).uniform(20, 80, people)
    rng = np.random.default_rng(1000 + noise)
    images = (rng.normal(size=(people, *SHAPE)) + ages[:, None, None, None] / 20).astype(np.float32)
    volumes = [
        Volume(f"s{row:02d}", age, None, image) for row, (age, image) in enumerate(zip(ages, images, strict=True))
    ]
    return write_store(folder, volumes, per_shard=people)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    store = _store(folder / "store")
    splits = store_splits(store, SplitConfig())
    spec = parse_spec(SPEC, "small.yaml")
    external = {"adni": Stored(_store(folder / "adni", people=9, seed=1), rejected=(), reused=True)}
    feed = ResidentFeed(load_resident(store, splits))
    for number, configuration in enumerate(CONFIGURATIONS):
        write_configuration(folder / "storage", number, configuration, spec.plan)
        for seed in spec.search.seeds:
            run = run_config(spec, configuration, seed)
            pretrain(run, feed, run_folder(folder / "storage", number, Replicate(seed)), device=torch.device("cpu"))
    return Study(
        spec,
        folder / "storage",
        Prepared(store, views={None: View(splits)}, whole=splits, rejected=(), reused=True, external=external),
    )


def looks(study: Study, home: Path) -> Looks:
    return Looks(Settings(home=home), study.prepared.store.manifest.version, study.prepared.first.splits.test)


@pytest.fixture
def study(trained: Study, tmp_path: Path) -> Study:
    """A copy whose checkpoints a test may change."""
    shutil.copytree(trained.storage, tmp_path / "storage")
    return Study(trained.spec, tmp_path / "storage", trained.prepared)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", None, "small", "small-1c2e")
    yield tracker
    tracker.finish("stopped", timeout_s=20)


@pytest.fixture(scope="module")
def ensembled(trained: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same where an ensemble of up to three seeds is served."""
    folder = tmp_path_factory.mktemp("ensemble")
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", None, "small", "small-3e5a")
    tracker.start("name: small\n", {}, {})
    spec = asking_for(3, trained.spec)
    finalize(spec, folder / "final.json", trained.storage, {(): trained.prepared}, tracker, looks(trained, folder))
    assert tracker.finish("complete", timeout_s=60) == 0
    return folder


def asking_for(members: int, spec: SweepSpec) -> SweepSpec:
    return spec.model_copy(update={"final": FinalConfig(ensemble=members)})


def said_alone(study: Study, run: Replicate, ids: Sequence[str]) -> np.ndarray:
    """What the run of a configuration says of scans of the store, one by one."""
    assert run.trial is not None
    store, told = study.prepared.store, run_config(study.spec, CONFIGURATIONS[run.trial], run.seed)
    best = run_folder(study.storage, run.trial, run.own) / "best.pt"
    return Predictor.load(told, best, SHAPE).infer(store.read_rows(store.rows_of(ids))).predictions


@pytest.fixture(scope="module")
def finalized(trained: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that was finalized and tracked."""
    folder = tmp_path_factory.mktemp("final")
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", None, "small", "small-1c2e")
    tracker.start("name: small\n", {}, {})
    finalize(
        trained.spec, folder / "final.json", trained.storage, {(): trained.prepared}, tracker, looks(trained, folder)
    )
    assert tracker.finish("complete", timeout_s=60) == 0
    return folder


def _worsen(storage: Path, number: int) -> None:
    """Add 100 to every validation MAE of a configuration, and to none of its checkpoints."""
    for path in (storage / f"trial-{number:04d}").glob("seed-*/history.json"):
        history = json.loads(path.read_text())
        for row in history["epochs"]:
            row["validation_mae"] += 100
        path.write_text(json.dumps(history))


def test_the_report_is_what_the_checkpoints_predict_for_the_test_split(finalized: Path, trained: Study) -> None:
    report = FinalReport.read(finalized / "final.json")
    store, splits = trained.prepared.store, trained.prepared.first.splits
    assert report.subjects == splits.test
    assert report.n_subjects == 8
    labels = store.labels[store.rows_of(splits.test)]
    assert report.labels == tuple(labels)
    winner = choose_winner(trained.spec, trained.spec.plan, trained.storage)
    images = store.read_rows(store.rows_of(splits.test))
    predicted = {seed: Predictor.load(run, best, SHAPE).infer(images) for seed, (run, best) in winner.members.items()}
    errors = {seed: abs(one.predictions - labels).mean() for seed, one in predicted.items()}
    assert report.seed_mae == pytest.approx(errors)
    ensemble = np.mean([one.predictions for one in predicted.values()], axis=0)
    assert report.metrics["mae"].value == pytest.approx(abs(ensemble - labels).mean()), "what the served model reaches"
    assert report.metrics["mae"].low < report.metrics["mae"].value < report.metrics["mae"].high
    assert report.mean == pytest.approx(np.mean(list(errors.values())))
    assert report.sd == pytest.approx(np.std(list(errors.values()), ddof=1))
    usable = store.labels[store.rows_of(splits.train + splits.validation)]
    assert report.baseline_predictions["predict_mean"] == pytest.approx([usable.mean()] * 8)
    assert report.baseline_predictions["predict_median"] == pytest.approx([np.median(usable)] * 8)
    assert {*report.baselines} == {"pca_ridge", "pca_svr", "predict_mean", "predict_median"}, "there are no covariates"
    assert report.against and report.against.baseline in ("pca_ridge", "pca_svr"), "brightness follows age"
    assert report.shot_mae == {"few": pytest.approx(report.metrics["mae"].value)}, "no label of 40 people is frequent"


def test_an_ensemble_is_evaluated_beside_the_best_configuration(ensembled: Path, trained: Study) -> None:
    report, store, splits = FinalReport.read(ensembled / "final.json"), *_parts(trained)
    told = report.ensemble
    assert told and 1 <= len(told.weights) <= 3 and told.candidates == 4
    assert sum(told.weights.values()) == pytest.approx(1)
    assert list(told.weights.values()) == sorted(told.weights.values(), reverse=True)
    assert told.weights == report.weights and list(report.predictions) == list(report.weights)
    assert told.methods == {
        run.trial: CONFIGURATIONS[run.trial].method for run in sorted(told.weights) if run.trial is not None
    }
    for ids, part in ((splits.validation, told.validation), (splits.test, told.test)):
        labels = store.labels[store.rows_of(ids)]
        mean = sum(weight * said_alone(trained, run, ids) for run, weight in told.weights.items())
        alone = np.mean([said_alone(trained, Replicate(seed, trial=report.trial), ids) for seed in (0, 1)], axis=0)
        errors = [float(abs(said - labels).mean()) for said in (mean, alone)]
        assert [part.ensemble.value, part.alone.value] == pytest.approx(errors, rel=1e-5)
        assert part.difference.value == pytest.approx(errors[0] - errors[1], abs=1e-5)
    assert told.validation.difference.value <= 1e-9, "never worse where it was chosen"
    assert report.metrics["mae"] == told.test.ensemble
    assert report.external["adni"].weights == report.weights


def _parts(study: Study) -> tuple[VolumeStore, Splits]:
    return study.prepared.store, study.prepared.first.splits


def test_the_model_of_an_ensemble_predicts_what_was_tested_to_the_last_bit(ensembled: Path, trained: Study) -> None:
    report, store, splits = FinalReport.read(ensembled / "final.json"), *_parts(trained)
    model = ServedModel.load(ensembled / "model/artifacts/ensemble")
    sources = tuple(store.subjects[0].sources.values())
    images = store.read_rows(store.rows_of(splits.test))
    predicted = [model.predict(Scan(image, sources), {}).prediction for image in images]
    assert predicted == report.mean_prediction.tolist()
    config = model.preparation.config
    assert config.weights == {run.slug: weight for run, weight in report.weights.items()}
    assert report.ensemble and config.trials == report.ensemble.methods
    assert export(ensembled / "model/artifacts/ensemble", "safetensors", ensembled / "model.safetensors") < 1e-4
    table = pq.read_table(ensembled / "test_predictions.parquet").to_pylist()
    assert len({(row["trial"], row["run"], row["scan"]) for row in table}) == len(table) == 2 * 2 * 8


def test_mlflow_is_told_of_an_ensemble_and_again_without_a_second_look(
    ensembled: Path, trained: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.sweep.finalize.load_test", None)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.choose_ensemble", None)
    report, uri = FinalReport.read(ensembled / "final.json"), f"sqlite:///{ensembled}/mlflow.db"
    again, spec = Tracker(uri, None, "small", "small-3e5a"), asking_for(3, trained.spec)
    finalize(spec, ensembled / "final.json", trained.storage, {(): trained.prepared}, again, looks(trained, ensembled))
    assert again.finish("complete", timeout_s=60) == 0
    client = MlflowClient(tracking_uri=uri)
    (registered,) = client.search_model_versions("name = 'small'")
    assert report.ensemble
    assert registered.tags["trial"] == ", ".join(map(str, report.ensemble.methods))
    heaviest, weight = next(iter(report.weights.items()))
    assert registered.tags["ensemble"].startswith(f"{weight:.3g} x {heaviest.words}")
    assert registered.tags["test_mae"] == f"{report.ensemble.test.ensemble.value:.6g}"
    (experiment,) = client.search_experiments(filter_string="name = 'small'")
    runs = {run.data.tags["contrasweep.key"]: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs["small-3e5a"].data.metrics
    assert parent["test_mae_alone"] == pytest.approx(report.ensemble.test.alone.value)
    assert parent["test_mae_against_alone_high"] == pytest.approx(report.ensemble.test.difference.high)
    assert parent["validation_mae_ensemble"] == pytest.approx(report.ensemble.validation.ensemble.value)
    for run in report.weights:
        own = Path(runs[f"small-3e5a/{run.trial}/{run.seed}"].info.artifact_uri or "")
        assert (own / f"figures/{run.slug}-embedding.png").exists() and (own / "checkpoint/best.pt").exists()


def test_what_cannot_join_an_ensemble(study: Study) -> None:
    """What reads other data, failed, or has lost its checkpoint; whole seeds of what racing stopped can."""
    best = choose_winner(study.spec, study.spec.plan, study.storage).record
    other = 1 - best.number
    cpu, spec = torch.device("cpu"), asking_for(2, study.spec)

    def candidates(spec: SweepSpec) -> int:
        chosen = choose_ensemble(spec, best, study.storage, study.prepared, cpu)
        assert chosen
        return chosen.candidates

    assert choose_ensemble(study.spec, best, study.storage, study.prepared, cpu) is None
    assert candidates(spec) == 4
    shutil.rmtree(run_folder(study.storage, other, Replicate(1)))
    assert candidates(spec) == 3
    run_folder(study.storage, other, Replicate(0)).joinpath("best.pt").unlink()
    assert candidates(spec) == 2
    shutil.copytree(study.storage / f"trial-{best.number:04d}", study.storage / "trial-0002")
    assert candidates(spec) == 4
    axes = "search: {choices: {size: {one: {data: {dtype: float32}}, two: {data: {dtype: float16}}}}, "
    choosing = asking_for(2, parse_spec(SPEC.replace("search: {", axes), "small.yaml"))
    write_configuration(study.storage, 2, replace(CONFIGURATIONS[0], choices={"size": "two"}), spec.plan)
    assert candidates(choosing) == 2
    write_configuration(study.storage, 2, CONFIGURATIONS[0], spec.plan, failure="Diverged: the loss is nan")
    assert candidates(spec) == 2


@pytest.mark.parametrize("objective", ["pearson", "worst_group_mae"])
def test_an_ensemble_is_chosen_by_the_objective_or_by_mae(study: Study, objective: str) -> None:
    search = study.spec.search.model_copy(update={"objective": (objective,)})
    spec = asking_for(2, study.spec.model_copy(update={"search": search}))
    best = choose_winner(study.spec, study.spec.plan, study.storage).record
    chosen = choose_ensemble(spec, best, study.storage, study.prepared, torch.device("cpu"))
    assert chosen and chosen.by == ("pearson" if objective == "pearson" else "mae")


def test_a_cohort_has_the_figures_that_the_test_split_has(finalized: Path, trained: Study) -> None:
    """Those of the first scans of its store, though they have the ids of others in the study."""
    report = FinalReport.read(finalized / "final.json")
    (adni,) = report.external.values()
    store = trained.prepared.external["adni"].store
    assert adni.scans == adni.subjects == tuple(f"s{row:02d}" for row in range(9))
    assert adni.labels == tuple(store.labels)
    winner = choose_winner(trained.spec, trained.spec.plan, trained.storage)
    predicted = {
        seed: Predictor.load(run, best, SHAPE).infer(store.read_rows(np.arange(9))).predictions
        for seed, (run, best) in winner.members.items()
    }
    assert adni.predictions == {seed: pytest.approx(of) for seed, of in predicted.items()}
    errors = {seed: abs(of - store.labels).mean() for seed, of in predicted.items()}
    assert adni.seed_mae == pytest.approx(errors)
    assert adni.metrics["mae"].low < adni.metrics["mae"].value < adni.metrics["mae"].high
    assert adni.sd == pytest.approx(np.std(list(errors.values()), ddof=1))
    ensemble = np.mean(list(predicted.values()), axis=0)
    assert adni.metrics["mae"].value == pytest.approx(abs(ensemble - store.labels).mean())
    study, splits = trained.prepared.store, trained.prepared.first.splits
    mean = study.labels[study.rows_of(splits.train + splits.validation)].mean()
    assert adni.baselines["predict_mean"].mae.value == pytest.approx(abs(mean - store.labels).mean())
    assert adni.sample == "9 subjects"
    assert (finalized / "figures/external-adni.png").stat().st_size > 5000


def test_every_complete_configuration_says_what_it_predicts_for_the_test_split(finalized: Path, trained: Study) -> None:
    table = pq.read_table(finalized / "test_predictions.parquet").to_pylist()
    assert len(table) == 2 * 2 * 8, "two configurations of two seeds, eight people"
    store, test = trained.prepared.store, trained.prepared.first.splits.test
    images, labels = store.read_rows(store.rows_of(test)), store.labels[store.rows_of(test)].tolist()
    for number, configuration in enumerate(CONFIGURATIONS):
        for seed in trained.spec.search.seeds:
            run = run_config(trained.spec, configuration, seed)
            best = run_folder(trained.storage, number, Replicate(seed)) / "best.pt"
            expected = Predictor.load(run, best, SHAPE).infer(images).predictions
            own = [row for row in table if (row["trial"], row["run"]) == (number, str(seed))]
            assert [row["scan"] for row in own] == [*test]
            assert [row["label"] for row in own] == labels
            assert [row["prediction"] for row in own] == pytest.approx(expected.tolist())
    ranked = read_tested(finalized / "test_predictions.parquet")
    report = FinalReport.read(finalized / "final.json")
    (chosen,) = [one for one in ranked if one.trial == report.trial]
    assert chosen.mae == pytest.approx(report.metrics["mae"].value)
    assert dict(chosen.run_mae) == pytest.approx(report.seed_mae)
    assert ranked[0].mae <= ranked[1].mae


def test_a_test_split_that_is_read_scan_by_scan_says_the_same(
    finalized: Path, study: Study, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.sweep.finalize.export_model", lambda *_: None)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.draw_saliency", lambda *_: None)
    monkeypatch.setattr("contrasweep.trainers.data.store._PART_BYTES", 1)
    final = tmp_path / "sweep/final.json"
    report = finalize(study.spec, final, study.storage, {(): study.prepared}, tracker, looks(study, tmp_path))
    whole = FinalReport.read(finalized / "final.json")
    for run, predictions in whole.predictions.items():
        assert report.predictions[run] == pytest.approx(predictions, rel=1e-4)
    for name, predictions in whole.baseline_predictions.items():
        assert report.baseline_predictions[name] == pytest.approx(predictions, rel=1e-6)
    in_parts, at_once = (read_tested(one / "test_predictions.parquet") for one in (final.parent, finalized))
    assert [one.mae for one in in_parts] == pytest.approx([one.mae for one in at_once], rel=1e-4)


def test_predictions_of_an_earlier_phase_are_kept(
    finalized: Path, study: Study, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.sweep.finalize.export_model", lambda *_: None)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.draw_saliency", lambda *_: None)
    shutil.copytree(finalized, tmp_path / "sweep")
    before = (finalized / "test_predictions.parquet").read_bytes()
    final, seen = tmp_path / "sweep/final.json", looks(study, tmp_path)
    (final.parent / "readings.parquet").write_bytes(b"read")
    (final.parent / "embeddings").mkdir()
    (final.parent / "embeddings/scans.txt").write_text("s01\n")
    for _ in range(2):  # the first time it died before the report
        finalize(study.spec, final, study.storage, {(): study.prepared}, tracker, seen, phase=1)
        shutil.copy(finalized / "final.json", final)
    assert (final.parent / "test_predictions-0.parquet").read_bytes() == before
    assert (final.parent / "final-0.json").read_bytes() == (finalized / "final.json").read_bytes()
    assert len(read_tested(final.parent / "test_predictions.parquet")) == 2
    assert (final.parent / "readings-0.parquet").read_bytes() == b"read"
    assert (final.parent / "embeddings-0/scans.txt").read_text() == "s01\n"
    assert not (final.parent / "readings.parquet").exists() and not (final.parent / "embeddings").exists()


def test_configurations_of_another_store_or_without_a_checkpoint(
    study: Study, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second reads images of the same people in another store; the third has lost a checkpoint."""
    monkeypatch.setattr("contrasweep.services.sweep.finalize.export_model", lambda *_: None)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.draw_saliency", lambda *_: None)
    choices = "search: {choices: {size: {one: {data: {dtype: float32}}, two: {data: {dtype: float16}}}}, "
    spec = parse_spec(SPEC.replace("search: {", choices), "small.yaml")
    other = replace(study.prepared, store=_store(tmp_path / "other", noise=7))
    shutil.copytree(study.storage / "trial-0001", study.storage / "trial-0002")
    for number, choice in enumerate(("one", "two", "one")):
        configuration = replace(CONFIGURATIONS[min(number, 1)], choices={"size": choice})
        write_configuration(study.storage, number, configuration, spec.plan)
    run_folder(study.storage, 2, Replicate(1)).joinpath("best.pt").unlink()
    _worsen(study.storage, 1)
    _worsen(study.storage, 2)
    prepared = {spec.search.reading({"size": "one"}): study.prepared, spec.search.reading({"size": "two"}): other}
    finalize(spec, tmp_path / "final.json", study.storage, prepared, tracker, looks(study, tmp_path))
    table = pq.read_table(tmp_path / "test_predictions.parquet").to_pylist()
    assert {row["trial"] for row in table} == {0, 1}
    images = other.store.read_rows(other.store.rows_of(other.splits.test))
    run, best = run_config(study.spec, CONFIGURATIONS[1], 0), run_folder(study.storage, 1, Replicate(0)) / "best.pt"
    expected = Predictor.load(run, best, SHAPE).infer(images).predictions.tolist()
    own = [row["prediction"] for row in table if (row["trial"], row["run"]) == (1, "0")]
    assert own == pytest.approx(expected)


@pytest.mark.parametrize(("worse", "method"), [(0, "vanilla"), (1, "exponential")])
def test_the_best_on_validation_wins_whatever_the_method(study: Study, worse: int, method: str) -> None:
    _worsen(study.storage, worse)
    winner = choose_winner(study.spec, study.spec.plan, study.storage)
    assert winner.record.configuration.method == method
    assert list(winner.members) == [Replicate(0), Replicate(1)]


def test_an_end_to_end_winner_predicts_by_its_own_head(
    study: Study, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.sweep.finalize.export_model", lambda *_: None)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.draw_saliency", lambda *_: None)
    _worsen(study.storage, 0)
    report = finalize(
        study.spec, tmp_path / "final.json", study.storage, {(): study.prepared}, tracker, looks(study, tmp_path)
    )
    assert report.method == "vanilla"
    assert math.isfinite(report.metrics["mae"].value)


def test_a_configuration_that_failed_or_finished_no_seed_cannot_win(study: Study) -> None:
    write_configuration(study.storage, 0, CONFIGURATIONS[0], study.spec.plan, "Diverged: the loss is nan")
    assert choose_winner(study.spec, study.spec.plan, study.storage).record.number == 1
    shutil.rmtree(study.storage / "trial-0001")
    with pytest.raises(UserError, match="no configuration finished a seed"):
        choose_winner(study.spec, study.spec.plan, study.storage)


def test_a_winner_by_fresh_seeds_is_evaluated_by_their_runs(study: Study) -> None:
    spec = study.spec.searching(racing=RacingConfig(judged_on="fresh"))
    keep_race(study.storage, 1, spec.plan)
    for seed, fresh in zip(spec.search.seeds, spec.plan.fresh, strict=True):
        shutil.copytree(run_folder(study.storage, 1, Replicate(seed)), run_folder(study.storage, 1, Replicate(fresh)))
    write_configuration(study.storage, 1, CONFIGURATIONS[1], spec.plan.finals)
    winner = choose_winner(spec, spec.plan, study.storage)
    assert winner.record.number == 1
    assert [run.seed for run in winner.members] == list(spec.plan.fresh)


def test_the_test_split_is_opened_once(
    finalized: Path, trained: Study, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finalized, tmp_path / "sweep")
    written = (finalized / "final.json").read_bytes()

    def opened(*_: object) -> None:
        raise AssertionError("the lock was opened again")

    monkeypatch.setattr("contrasweep.services.sweep.finalize.load_test", opened)
    monkeypatch.setattr("contrasweep.services.sweep.finalize.load_external", opened)
    final = tmp_path / "sweep/final.json"
    report = finalize(trained.spec, final, trained.storage, {(): trained.prepared}, tracker, looks(trained, tmp_path))
    assert report == FinalReport.read(final)
    assert final.read_bytes() == written


def test_a_report_with_an_undefined_metric_reads_back(finalized: Path, tmp_path: Path) -> None:
    report = FinalReport.read(finalized / "final.json")
    flat = report.metrics["mae"].__class__(math.nan, math.nan, math.nan)
    changed = report.model_copy(
        update={"params": {"lam": math.inf, "kernel": "rbf", "step": 1}, "metrics": {"pearson": flat}}
    )
    changed.write(tmp_path / "final.json")
    read = FinalReport.read(tmp_path / "final.json")
    assert read.params == changed.params
    assert math.isnan(read.metrics["pearson"].low)


def test_metrics_figures_and_checkpoints_reach_mlflow(finalized: Path, trained: Study) -> None:
    report = FinalReport.read(finalized / "final.json")
    client = MlflowClient(tracking_uri=f"sqlite:///{finalized}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'small'")
    runs = {run.data.tags["contrasweep.key"]: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs["small-1c2e"]
    assert parent.data.metrics["test_mae"] == pytest.approx(report.metrics["mae"].value)
    assert parent.data.metrics["test_pearson_high"] == pytest.approx(report.metrics["pearson"].high)
    assert parent.data.metrics["test_mae_seed_mean"] == pytest.approx(report.mean)
    assert parent.data.metrics["test_mae_seed_sd"] == pytest.approx(report.sd)
    assert parent.data.metrics["test_mae_pca_ridge"] == pytest.approx(report.baselines["pca_ridge"].mae.value)
    assert report.against
    assert parent.data.metrics["test_mae_against_baseline"] == pytest.approx(report.against.difference.value)
    assert parent.data.metrics["test_mae_few"] == pytest.approx(report.shot_mae["few"])
    adni = report.external["adni"]
    assert parent.data.metrics["external_adni_mae"] == pytest.approx(adni.metrics["mae"].value)
    assert parent.data.metrics["external_adni_r2_low"] == pytest.approx(adni.metrics["r2"].low)
    mean = adni.baselines["predict_mean"].mae.value
    assert parent.data.metrics["external_adni_mae_predict_mean"] == pytest.approx(mean)
    artifacts = Path(parent.info.artifact_uri or "")
    assert (artifacts / "figures/external-adni.png").stat().st_size > 5000
    assert (artifacts / "figures/predicted-against-true.png").stat().st_size > 5000
    assert (artifacts / "figures/saliency.png").stat().st_size > 5000
    for seed in trained.spec.search.seeds:
        own = Path(runs[f"small-1c2e/{report.trial}/{seed}"].info.artifact_uri or "")
        best = run_folder(trained.storage, report.trial, Replicate(seed)) / "best.pt"
        assert (own / "checkpoint/best.pt").read_bytes() == best.read_bytes()
        assert (own / f"figures/seed-{seed}-embedding.png").stat().st_size > 5000


def test_the_winner_is_registered_once_and_again_after_no_loss(finalized: Path, trained: Study) -> None:
    uri = f"sqlite:///{finalized}/mlflow.db"
    again = Tracker(uri, None, "small", "small-1c2e")
    finalize(
        trained.spec,
        finalized / "final.json",
        trained.storage,
        {(): trained.prepared},
        again,
        looks(trained, finalized),
    )
    assert again.finish("complete", timeout_s=60) == 0
    (registered,) = MlflowClient(tracking_uri=uri).search_model_versions("name = 'small'")
    report = FinalReport.read(finalized / "final.json")
    assert registered.tags["method"] == report.method
    card = (finalized / "model/artifacts/ensemble/README.md").read_text()
    assert registered.description == card[:5000]
    for said in (
        "in months",
        "CC BY 4.0.",
        f"**MAE {interval(report.metrics['mae'])} months** on {report.sample} of the test split",
        f"- PCA + ridge: MAE {interval(report.baselines['pca_ridge'].mae)}",
        f"- cohort adni, 9 subjects: MAE {interval(report.external['adni'].metrics['mae'])}",
        "| age | people | scans | MAE | bias |",
        "not for diagnosis",
    ):
        assert said in card, said


PREDICT = """
import sys, mlflow, numpy as np, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/small/1")
print(model.metadata.signature.inputs.to_json())
said = model.predict(pd.DataFrame({"image": list(np.load(sys.argv[2]))}))
np.save(sys.argv[3], said["prediction"].to_numpy())
from contrasweep import trainers
print(trainers.__file__)
"""


@pytest.mark.slow
def test_the_registered_model_predicts_elsewhere_what_finalize_did(
    finalized: Path, trained: Study, tmp_path: Path
) -> None:
    store = trained.prepared.store
    np.save(tmp_path / "images.npy", store.read_rows(store.rows_of(trained.prepared.first.splits.test)))
    shutil.move(trained.storage, tmp_path / "gone")  # the model is complete without the checkpoints
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-c", PREDICT, f"sqlite:///{finalized}/mlflow.db"),
                *(tmp_path / "images.npy", tmp_path / "predicted.npy"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        shutil.move(tmp_path / "gone", trained.storage)
    assert done.returncode == 0, done.stderr
    signature, code = done.stdout.splitlines()
    assert [column["name"] for column in json.loads(signature)] == ["path", "image", "affine"]
    assert code.endswith("/code/contrasweep/trainers/__init__.py")  # the copy in the model, not this checkout
    report = FinalReport.read(finalized / "final.json")
    predicted = np.load(tmp_path / "predicted.npy")
    assert predicted.dtype == np.float64
    np.testing.assert_array_equal(predicted, np.mean(list(report.predictions.values()), axis=0))


def test_a_checkpoint_that_holds_code_is_refused(study: Study) -> None:
    run, best = choose_winner(study.spec, study.spec.plan, study.storage).members[Replicate(0)]
    torch.save({"model": Path}, best)
    with pytest.raises(Exception, match="weights_only"):
        Predictor.load(run, best, SHAPE)


def test_loading_a_model_leaves_the_random_state(trained: Study) -> None:
    before = torch.random.get_rng_state()
    Predictor.load(*choose_winner(trained.spec, trained.spec.plan, trained.storage).members[Replicate(0)], SHAPE)
    assert torch.equal(torch.random.get_rng_state(), before)
