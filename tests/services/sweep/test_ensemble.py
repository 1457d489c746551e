"""Sweeps that serve an ensemble, from the search to predictions of raw files, for real."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from contrasweep.services.predicting.command import ask, predict_scans
from contrasweep.services.predicting.embed import write_embeddings
from contrasweep.services.predicting.scans import Asked
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.spec import FinalConfig, LoadedSpec
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.exports.export import export
from tests.services.small_study import settings_in, write_study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

NETS: dict[str, Any] = {"narrow": {}, "vit": {"model": {"encoder": "vit", "encoder_params": {"patch": 8}}}}
SEARCH: dict[str, Any] = {
    "spaces": ["exponential", "vanilla"],
    "choices": {"net": NETS},
    "points": [
        {"name": "narrow", "method": "vanilla", "choices": {"net": "narrow"}},
        {"name": "vit", "method": "exponential", "choices": {"net": "vit"}},
    ],
    "trials": 3,
    "seeds": [0, 1],
    "parallel": 1,
    "racing": None,
}


def run(loaded: LoadedSpec, settings: Settings) -> tuple[FinalReport, str]:
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    return FinalReport.read(settings.sweeps / loaded.sweep_id / "final.json"), console.file.getvalue()


def check_predictions(loaded: LoadedSpec, settings: Settings, report: FinalReport) -> None:
    """Those of raw files are those of the test split to the last bit."""
    asked = Asked(participants=loaded.base / "participants.tsv")
    found = predict_scans(loaded.sweep_id, asked, settings, Console(quiet=True))
    predicted = {one.scan: one.prediction for one in found.scans}
    assert [predicted[scan] for scan in report.scans] == report.mean_prediction.tolist()


def test_an_ensemble_of_several_encoders_from_search_to_prediction(tmp_path: Path, ray_local: None) -> None:
    loaded, settings = write_study(tmp_path, search=SEARCH), settings_in(tmp_path / "home")
    alone, _ = run(loaded, settings)
    assert alone.ensemble is None and not alone.weights
    asking = replace(loaded, spec=loaded.spec.model_copy(update={"final": FinalConfig(ensemble=4)}))
    report, said = run(asking, settings)
    assert SweepFolder.find(settings, asking.sweep_id).read_state().taken == 6, "seeds of the sweep without are taken"
    told = report.ensemble
    assert told and told.candidates == 6 and report.trial == alone.trial
    assert told.test.alone.value == pytest.approx(alone.metrics["mae"].value, rel=1e-5)
    assert told.validation.ensemble.value <= told.validation.alone.value
    assert f"chosen by validation MAE out of 6 seeds: {next(iter(told.weights.values())):.2g} x trial" in said
    check_predictions(asking, settings, report)
    page = (settings.reports / f"{asking.sweep_id}.html").read_text()
    assert f"The ensemble, and trial {report.trial} alone" in page
    final = Local(settings).status(asking.sweep_id).final
    assert final is not None and final.model_dump_json() == report.told().model_dump_json()
    scans = Asked(files=tuple(tmp_path / f"images/sub-{number:02d}.npy" for number in range(2)))
    write_embeddings(tmp_path / "embedded.parquet", ask(asking.sweep_id, scans, settings, Console(quiet=True)))
    columns = pq.read_table(tmp_path / "embedded.parquet").column_names
    assert [f"features_{run.slug.replace('-', '_')}" for run in report.weights] == columns[6:]
    model = settings.sweeps / asking.sweep_id / "model/artifacts/ensemble"
    assert export(model, "torch-export", tmp_path / "model.pt2") < 1e-4
    more, _ = run(extended(SweepFolder.find(settings, asking.sweep_id).load(), More(trials=4)), settings)
    assert more.phase == 1 and more.ensemble and more.ensemble.candidates == 8
    check_predictions(asking, settings, more)


def test_on_folds_a_seed_has_all_its_runs_in_an_ensemble(tmp_path: Path, ray_local: None) -> None:
    search = {**SEARCH, "trials": 2}
    loaded = write_study(tmp_path, data={"split": {"folds": 2}}, search=search, final={"ensemble": 3})
    settings = settings_in(tmp_path / "home")
    report, _ = run(loaded, settings)
    told, pooled = report.ensemble, report.out_of_fold
    assert told and pooled and told.candidates == 4
    assert len(report.weights) == 2 * len(told.weights) and sum(report.weights.values()) == pytest.approx(1)
    assert {*pooled.weights} == {*told.weights}
    assert list(pooled.weights.values()) == pytest.approx(list(told.weights.values()))
    assert told.validation.ensemble.value == pytest.approx(pooled.metrics["mae"].value, rel=1e-5)
    errors = np.abs(pooled.mean_prediction - pooled.labels)
    assert pooled.metrics["mae"].value == pytest.approx(errors.mean())
    check_predictions(loaded, settings, report)


def test_each_outer_fold_has_an_ensemble_of_its_own(tmp_path: Path, ray_local: None) -> None:
    search = {**SEARCH, "trials": 2, "seeds": [0]}
    loaded = write_study(tmp_path, data={"split": {"outer": 2}}, search=search, final={"ensemble": 2})
    settings = settings_in(tmp_path / "home")
    assert run_sweep(loaded, settings, Console(file=io.StringIO())).state == FINISHED
    folder = SweepFolder.find(settings, loaded.sweep_id)
    reports = [FinalReport.read(part.final) for part in folder.searches]
    assert all(report.ensemble for report in reports)
    final = Local(settings).status(loaded.sweep_id).final
    assert final and final.sample == "80 subjects"
    errors = np.concatenate([np.abs(report.mean_prediction - report.labels) for report in reports])
    assert final.metrics["mae"].value == pytest.approx(errors.mean())
    assert "each predicted by its outer fold&#39;s model" in (settings.reports / f"{loaded.sweep_id}.html").read_text()
