"""Sweeps with outer folds: pooling by hand, and a whole one that is killed in its second outer fold, for real."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from rich.console import Console

from contrasweep.services.data.prepare import find_prepared
from contrasweep.services.records.answers import OuterFold, Pooled, fields_of
from contrasweep.services.records.final_report import BaselineSaid, Evaluation, FinalReport, PooledReport
from contrasweep.services.records.folder import FINISHED, INTERRUPTED, SweepFolder
from contrasweep.services.records.looks import Looks
from contrasweep.services.screen.words import runs_words
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.nested import pool
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.errors import UserError
from tests.services.small_study import settings_in, write_study
from tests.services.sweep_page.left import final_report

SEARCH: dict[str, Any] = {"spaces": ["exponential"], "trials": 2, "seeds": [0, 1], "parallel": 1, "racing": None}
PATIENCE_S = 600


def of_fold(number: int, labels: Sequence[float], errors: dict[int, float], baseline: float) -> FinalReport:
    """A report whose runs, by seed, and baseline are wrong by the same amount for everyone."""
    names = tuple(f"s{number}{place}" for place in range(len(labels)))
    said = {Replicate(seed): tuple(label + error for label in labels) for seed, error in errors.items()}
    simple = {"pca_ridge": BaselineSaid("PCA + ridge", baseline, "", [label + baseline for label in labels])}
    known = fields_of(Evaluation, Evaluation.of(names, names, labels, said, simple, {}))
    return final_report(labels, number).model_copy(update=known)


def outer_fold(number: int, mae: float) -> OuterFold:
    metrics = {"mae": mae}
    return OuterFold(
        id=f"s.{number}", trial=number, method="m", params={}, objective=1.0, metrics=metrics, sample="2 subjects"
    )


def test_everyone_is_pooled_over_the_runs_that_all_winners_have() -> None:
    reports = [of_fold(0, (20, 40, 60), {0: 1.0, 1: 3.0}, 10.0), of_fold(1, (30,), {0: -5.0}, 20.0)]
    pooled = pool(reports, [outer_fold(0, 2.0), outer_fold(1, 5.0)], 3)
    assert pooled.scans == ("s00", "s01", "s02", "s10")
    assert pooled.predictions == {Replicate(0): (21.0, 41.0, 61.0, 25.0)}
    assert pooled.seed_mae == {Replicate(0): pytest.approx((1 + 1 + 1 + 5) / 4)}
    assert pooled.metrics["mae"].value == pooled.mean == pytest.approx(2.0)
    assert pooled.baselines["pca_ridge"].mae.value == pytest.approx((3 * 10 + 20) / 4)
    assert pooled.baseline_predictions["pca_ridge"] == (30.0, 50.0, 70.0, 50.0)
    assert pooled.against and pooled.against.difference.value == pytest.approx(2 - (3 * 10 + 20) / 4)
    assert pooled.between["mae"].mean == 3.5
    assert pooled.between["mae"].sd == pytest.approx(3 / 2**0.5)
    assert pooled.phase == 3


def test_of_ensembles_the_mean_predictions_are_pooled() -> None:
    """Though a run of each is called the same."""
    both = (Replicate(0, trial=4), Replicate(0, trial=7))
    reports = []
    for number, (labels, errors) in enumerate([((20, 40), (1.0, 3.0)), ((30,), (-5.0, 3.0))]):
        names = tuple(f"s{number}{place}" for place in range(len(labels)))
        said = {run: [label + error for label in labels] for run, error in zip(both, errors, strict=True)}
        weights = dict(zip(both, (0.25, 0.75), strict=True))
        told = Evaluation.of(names, names, labels, said, {}, {}, weights)
        reports.append(final_report(labels, number).model_copy(update=fields_of(Evaluation, told)))
    pooled = pool(reports, [outer_fold(0, 2.0), outer_fold(1, 5.0)], 0)
    assert list(pooled.predictions.values()) == [(22.5, 42.5, 31.0)]
    assert runs_words(pooled) == "each predicted by its outer fold's model"


def test_where_winners_have_no_run_in_common_their_means_are_pooled() -> None:
    reports = [of_fold(0, (20, 40), {0: 1.0, 1: 3.0}, 10.0), of_fold(1, (30,), {2: -5.0}, 20.0)]
    pooled = pool(reports, [outer_fold(0, 2.0), outer_fold(1, 5.0)], 0)
    assert list(pooled.predictions.values()) == [(22.0, 42.0, 25.0)]


def start(spec: Path, home: Path) -> "subprocess.Popen[str]":
    """`contrasweep run` as its own process, with a Ray of its own."""
    command = [sys.executable, "-c", "from contrasweep.services.cli import main; main()", "run", str(spec)]
    environment = {**os.environ, "CONTRASWEEP_HOME": str(home)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(loaded: LoadedSpec, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_sweep_killed_in_its_second_outer_fold_goes_on_there(tmp_path: Path, ray_local: None) -> None:
    loaded = write_study(tmp_path, data={"split": {"outer": 2, "stratify": ["age"]}}, search=SEARCH)
    settings, sweep_id = settings_in(tmp_path / "home"), loaded.sweep_id
    driver = start(loaded.path, settings.home)
    begun = Path(settings.storage_path) / f"{sweep_id}.1" / "trial-0000"
    deadline = time.monotonic() + PATIENCE_S
    while not any(begun.glob("seed-*/history.json")) and driver.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    printed, _ = driver.communicate(timeout=120)
    local = Local(settings)
    sweep = local.status(sweep_id)
    assert (sweep.state, sweep.outer, sweep.final) == (INTERRUPTED, 2, None), printed
    assert [search.state for search in sweep.searches] == [FINISHED, INTERRUPTED], printed
    assert sweep.ended >= 2 and [listed.id for listed in local.sweeps()] == [sweep_id]
    first = SweepFolder.find(settings, f"{sweep_id}.0")
    done = {path: path.stat().st_mtime_ns for path in (first.final, first.path / "state.json", first.log)}

    printed = run(SweepFolder.find_whole(settings, "small").load(), settings)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what is done is not run again"
    pooled = local.status(sweep_id).final
    assert isinstance(pooled, Pooled) and "final     test MAE" in printed and "over 80 subjects" in printed
    check_predictions(loaded, settings)
    assert pooled.metrics["mae"].value < pooled.baselines["predict_mean"].mae.value / 2
    folds = [fold.metrics["mae"] for fold in pooled.outer]
    assert pooled.metrics["mae"].value == pytest.approx(np.mean(folds)), "both have 40 scans"
    assert pooled.between["mae"].sd == pytest.approx(np.std(folds, ddof=1))
    assert [len(local.trials(f"{sweep_id}.{number}")) for number in (0, 1)] == [2, 2]
    assert local.trials(sweep_id) == []
    sweep = local.status(sweep_id)
    assert (sweep.ended, sweep.configurations, sweep.seed_runs) == (4, 4, 8)
    assert sweep.test_mae == pooled.metrics["mae"].value
    page = (settings.reports / f"{sweep_id}.html").read_text()
    assert "40 subjects" in page and f"Leaderboard of {sweep_id}.1" in page
    assert local.report(sweep_id).count("<h2") == page.count("<h2")
    check_tracking(loaded, settings)

    run(extended(SweepFolder.find_whole(settings, sweep_id).load(), More(trials=3)), settings)
    sweep = local.status(sweep_id)
    assert [search.ended for search in sweep.searches] == [3, 3] and sweep.ended == 6
    kept = PooledReport.model_validate_json((settings.sweeps / sweep_id / "final-0.json").read_bytes())
    assert kept.metrics["mae"].value == pooled.metrics["mae"].value
    assert isinstance(sweep.final, Pooled) and [fold.looks for fold in sweep.final.outer] == [2, 2]
    for verb in (local.stop, local.resume):
        with pytest.raises(UserError, match=f"{sweep_id}.0 is an outer fold; ask this of the whole sweep: {sweep_id}"):
            verb(f"{sweep_id}.0")


def check_predictions(loaded: LoadedSpec, settings: Settings) -> None:
    """Everyone is predicted once, by the search whose test split they are in, which is read once."""
    prepared = find_prepared(loaded.spec.data, loaded.base, settings.volumes)
    assert prepared
    report = json.loads((settings.sweeps / loaded.sweep_id / "final.json").read_text())
    assert sorted(report["scans"]) == sorted(scan.id for scan in prepared.store.subjects)
    said = dict(zip(report["scans"], report["predictions"]["1"], strict=True))
    for number, part in enumerate(prepared.searches):
        splits = part.first.splits
        own = FinalReport.read(SweepFolder.find(settings, f"{loaded.sweep_id}.{number}").final)
        assert own.scans == splits.test and not {*own.scans} & {*splits.train, *splits.validation}
        assert [said[name] for name in own.scans] == list(own.predictions[Replicate(1)])
        looks = Looks(settings, part.store.manifest.version, splits.test).all()
        assert [look.sweep for look in looks] == [f"{loaded.sweep_id}.{number}"]


def check_tracking(loaded: LoadedSpec, settings: Settings) -> None:
    """The runs of the searches are beneath the sweep's, which has the pooled figures."""
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    runs = {
        run.info.run_name: run
        for run in client.search_runs([experiment.experiment_id], max_results=1000)
        if run.info.run_name.startswith(loaded.sweep_id)
    }
    whole = runs.pop(loaded.sweep_id)
    assert "mlflow.parentRunId" not in whole.data.tags and whole.info.status == "FINISHED"
    assert {"test_mae", "test_mae_low", "outer_mae_mean", "outer_mae_sd"} <= {*whole.data.metrics}
    assert {*runs} == {f"{loaded.sweep_id}.{number}" for number in (0, 1)}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {whole.info.run_id}
