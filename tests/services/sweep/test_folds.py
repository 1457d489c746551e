"""Sweeps whose split has folds: each configuration runs each seed on every fold, for real."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contrasweep.services.data.prepare import find_prepared
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.records.trial_record import read_records, run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.sweep.trial import run_config
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.history import History
from contrasweep.trainers.inference import Predictor
from tests.services.small_study import settings_in, write_study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

SEARCH: dict[str, Any] = {"spaces": ["exponential"], "trials": 2, "seeds": [0], "parallel": 1, "racing": None}


def run(loaded: LoadedSpec, settings: Settings) -> FinalReport:
    assert run_sweep(loaded, settings, Console(file=io.StringIO(), width=200)).state == FINISHED
    return FinalReport.read(settings.sweeps / loaded.sweep_id / "final.json")


def test_everyone_is_predicted_by_runs_that_did_not_train_on_them(tmp_path: Path, ray_local: None) -> None:
    loaded = write_study(tmp_path, data={"split": {"folds": 3}}, search=SEARCH)
    settings = settings_in(tmp_path / "home")
    report = run(loaded, settings)
    assert sorted(report.seed_mae) == [Replicate(0, 0), Replicate(0, 1), Replicate(0, 2)]
    told = report.out_of_fold
    assert told is not None
    prepared = find_prepared(loaded.spec.data, loaded.base, settings.volumes)
    assert prepared is not None
    assert {*told.scans} | {*report.scans} == {scan.id for scan in prepared.store.subjects}
    assert not {*told.scans} & {*report.scans}
    storage = Path(settings.storage_path) / loaded.sweep_id
    record = next(r for r in read_records(storage, loaded.spec.plan) if r.number == report.trial)
    said = dict(zip(told.scans, told.predictions[Replicate(0)], strict=True))
    for fold, view in prepared.views.items():
        held_out = prepared.store.load(view.splits.validation)
        best = run_folder(storage, report.trial, Replicate(0, fold)) / "best.pt"
        predictor = Predictor.load(run_config(loaded.spec, record.configuration, 0), best, prepared.store.image_shape)
        predicted = predictor.infer(held_out.images).predictions
        assert [said[name] for name in view.splits.validation] == pytest.approx(predicted.tolist())
        assert record.values[Replicate(0, fold)] == pytest.approx(abs(predicted - held_out.labels).mean(), rel=1e-4)
    kept = SweepFolder.find(settings, "small")
    more = run(extended(kept.load(), More(seeds=(0, 1))), settings)
    assert len(more.seed_mae) == 6
    (best_one, other) = Local(settings).trials(loaded.sweep_id)
    assert (len(best_one.seeds), len(other.seeds)) == (6, 6), "without racing all that are complete are finalists"


def test_the_best_is_trained_once_more_on_all_but_the_test_split(tmp_path: Path, ray_local: None) -> None:
    search = {**SEARCH, "refit": True, "seeds": [0, 1]}
    loaded = write_study(tmp_path, data={"split": {"folds": 2}}, training={"epochs": 5}, search=search)
    settings = settings_in(tmp_path / "home")
    report = run(loaded, settings)
    assert sorted(report.predictions) == [Replicate(0, REFIT), Replicate(1, REFIT)]
    storage = Path(settings.storage_path) / loaded.sweep_id
    record = next(r for r in read_records(storage, loaded.spec.plan) if r.number == report.trial)
    ends = sorted(1 + history.best_epoch for history in record.histories.values())
    assert report.refit_epochs == -(-(ends[1] + ends[2]) // 2)
    refitted = History.read(run_folder(storage, report.trial, Replicate(1, REFIT)))
    assert refitted and len(refitted.epochs) == report.refit_epochs
    assert not any("validation_mae" in row for row in refitted.epochs)
    assert report.out_of_fold and sorted(report.out_of_fold.predictions) == [Replicate(0), Replicate(1)]
    renamed = replace(loaded, spec=loaded.spec.model_copy(update={"name": "again"}))
    assert run(renamed, settings).predictions == report.predictions
    taken = History.read(run_folder(Path(settings.storage_path) / renamed.sweep_id, report.trial, Replicate(1, REFIT)))
    assert taken and taken.taken == f"{loaded.sweep_id}/trial-{report.trial:04d}/refit-seed-1"


def test_a_single_configuration_without_validation(tmp_path: Path, ray_local: None) -> None:
    search = {**SEARCH, "trials": 1, "seeds": [0, 1]}
    loaded = write_study(tmp_path, data={"split": {"validation": 0}}, training={"checkpoint": "last"}, search=search)
    settings = settings_in(tmp_path / "home")
    report = run(loaded, settings)
    (trial,) = Local(settings).trials(loaded.sweep_id)
    assert (trial.state, trial.objective, trial.seeds) == ("complete", None, {Replicate(0): None, Replicate(1): None})
    assert report.metrics["mae"].value < report.baselines["predict_mean"].mae.value
    assert "–" in (settings.reports / f"{loaded.sweep_id}.html").read_text()


def test_each_site_is_left_out_once(tmp_path: Path, ray_local: None) -> None:
    write_study(tmp_path)
    table = tmp_path / "participants.tsv"
    head, *lines = table.read_text().splitlines()
    sites = [f"{line}\t{'ABC'[number % 3]}" for number, line in enumerate(lines)]
    loaded = write_study(
        tmp_path, data={"split": {"folds": {"by": "site"}, "test": 0.2, "stratify": None}}, search=SEARCH
    )
    table.write_text("\n".join([f"{head}\tsite", *sites]) + "\n")
    settings = settings_in(tmp_path / "home")
    report = run(loaded, settings)
    assert report.out_of_fold is not None
    assert len(report.out_of_fold.scans) == 64
    sweep = Local(settings).status(loaded.sweep_id)
    assert (sweep.folds, sweep.runs) == (3, 3)
    assert {*Local(settings).trials(loaded.sweep_id)[0].seeds} == {Replicate(0, fold) for fold in range(3)}
