"""Sweeps that go further than they were first asked to, for real."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, SweepFolder, recognised
from contrasweep.services.records.looks import Looks
from contrasweep.services.records.trial_record import read_records, run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from tests.services.small_study import results, settings_in, write_study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

SEARCH: dict[str, Any] = {
    "spaces": ["exponential", "supremix"],
    "trials": 4,
    "seeds": [0],
    "parallel": 2,
    "racing": None,
}


def run(loaded: LoadedSpec, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def final(settings: Settings, loaded: LoadedSpec, name: str = "final.json") -> FinalReport:
    return FinalReport.read(settings.sweeps / loaded.sweep_id / name)


def test_trials_that_come_later_are_those_of_a_longer_sweep(tmp_path: Path, ray_local: None) -> None:
    short = write_study(tmp_path, search=SEARCH)
    long = write_study(tmp_path, search={**SEARCH, "trials": 8})
    assert short.sweep_id == long.sweep_id
    grown, at_once = settings_in(tmp_path / "grown"), settings_in(tmp_path / "at-once")
    run(short, grown)
    first = final(grown, short)
    printed = run(long, grown)
    run(long, at_once)
    assert results(long, grown) == results(long, at_once)
    assert "8/8 trials" in printed and "test split read 2 times" in printed
    assert final(grown, long).predictions == final(at_once, long).predictions
    assert (final(grown, long).phase, final(grown, long).looks) == (1, 2)
    assert final(grown, long, "final-0.json") == first
    state = SweepFolder.find(grown, "small").read_state()
    assert [phase.trials for phase in state.phases] == [4] and state.trials == 8
    study = optuna.load_study(study_name=long.sweep_id, storage=grown.optuna_storage)
    assert [phase["trials"] for phase in study.user_attrs["phases"]] == [4]
    assert run(short, grown) == run(long, grown) == "", "it has been done as far as either asks"


def test_a_space_that_comes_later_is_tried_at_its_published_point_and_searched(tmp_path: Path, ray_local: None) -> None:
    small = write_study(tmp_path, search={**SEARCH, "spaces": ["exponential"]})
    settings = settings_in(tmp_path / "home")
    run(small, settings)
    before = json.loads(results(small, settings))
    kept = SweepFolder.find(settings, "small")
    printed = run(extended(kept.load(), More(add_spaces=("simclr",))), settings)
    assert "8/8 trials" in printed and "test split read 2 times" in printed
    after = json.loads(results(small, settings))
    assert after[:4] == before, "the earlier ones are as they were"
    assert {one["configuration"]["method"] for one in after[4:]} == {"simclr"}, "it catches up"
    assert after[4]["configuration"]["params"] == losses.parameters("simclr")
    study = optuna.load_study(study_name=small.sweep_id, storage=settings.optuna_storage)
    assert [trial.params.get("method") for trial in study.trials[:5]] == [None] * 4 + ["simclr"]
    status = Local(settings).status("small")
    assert [phase.spaces for phase in status.phases] == [("exponential",)]
    assert status.extent and status.extent.spaces == ("exponential", "simclr")
    assert "simclr" in (settings.reports / f"{small.sweep_id}.html").read_text()
    larger = write_study(tmp_path, search={**SEARCH, "spaces": ["exponential", "simclr"]})
    assert larger.sweep_id != small.sweep_id
    assert run(small, settings) == run(larger, settings) == "", "it has been done as far as either asks"
    run(extended(kept.load(), More(add_spaces=("vanilla",), trials=9)), settings)
    found = json.loads(results(small, settings))
    assert (found[:8], found[8]["configuration"]["method"]) == (after, "vanilla")
    assert [sweep.id for sweep in Local(settings).sweeps()] == [small.sweep_id]


def test_a_space_that_does_not_go_with_the_data_leaves_the_sweep_as_it_is(tmp_path: Path, ray_local: None) -> None:
    settings = settings_in(tmp_path / "home")
    kept = SweepFolder.create(settings, write_study(tmp_path, search=SEARCH))
    with pytest.raises(UserError, match="vit"):
        run(extended(kept.load(), More(add_spaces=("mae",))), settings)
    assert kept.load().spec.search.spaces == ("exponential", "supremix")
    assert kept.read_state().phases == ()


@pytest.mark.parametrize("moment", ["as it begins", "in the middle"])
def test_an_extension_that_is_killed_is_what_one_that_was_not_is(tmp_path: Path, ray_local: None, moment: str) -> None:
    settings, short = settings_in(tmp_path / "home"), write_study(tmp_path, search={**SEARCH, "trials": 2})
    run(short, settings)
    storage = Path(settings.storage_path) / short.sweep_id
    kept = SweepFolder.find(settings, "small")
    code = "from contrasweep.services.cli import main; main()"
    driver = subprocess.Popen(
        [sys.executable, "-c", code, "extend", "small", "--trials", "4"],
        env={**os.environ, "CONTRASWEEP_HOME": str(settings.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    grown = {
        "as it begins": lambda: kept.read_state().phases,
        "in the middle": (run_folder(storage, 2, Replicate(0)) / "history.json").exists,
    }
    while not grown[moment]() and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL, "it was still under way"
    long = write_study(tmp_path, search={**SEARCH, "trials": 4})
    run(recognised(long, settings), settings)
    at_once = settings_in(tmp_path / "at-once")
    run(long, at_once)
    assert results(long, settings) == results(long, at_once)
    assert final(settings, long).predictions == final(at_once, long).predictions
    assert [phase.trials for phase in kept.read_state().phases] == [2]
    assert final(settings, long, "final-0.json").looks == 1


def test_seeds_that_come_later_are_run_by_the_finalists_or_by_all(tmp_path: Path, ray_local: None) -> None:
    racing = {"rungs": [1], "finalists": 1}
    loaded = write_study(tmp_path, search={**SEARCH, "racing": racing})
    settings = settings_in(tmp_path / "home")
    run(loaded, settings)
    storage = Path(settings.storage_path) / loaded.sweep_id
    before = {record.number: dict(record.values) for record in read_records(storage, loaded.spec.plan)}
    whole = [number for number, values in before.items() if values]
    kept = SweepFolder.find(settings, "small")
    run(extended(kept.load(), More(seeds=(0, 1, 2))), settings)
    records = {record.number: record for record in read_records(storage, kept.load().spec.plan)}
    (finalist,) = [number for number, record in records.items() if len(record.values) == 3]
    assert finalist == min(whole, key=lambda number: before[number][Replicate(0)])
    assert {n: dict(r.values) for n, r in records.items() if n != finalist} == {
        n: values for n, values in before.items() if n != finalist
    }, "nobody else trains"
    assert {n: records[n].state for n in whole} == dict.fromkeys(whole, "complete")
    report = final(settings, loaded)
    assert (report.trial, sorted(report.seed_mae)) == (finalist, [Replicate(0), Replicate(1), Replicate(2)])
    run(extended(kept.load(), More(seeds=(0, 1, 2), all=True)), settings)
    records = {record.number: record for record in read_records(storage, kept.load().spec.plan)}
    assert sorted(n for n, record in records.items() if len(record.values) == 3) == sorted(whole)
    prepared = json.loads((kept.path / "drivers.json").read_text())[-1]["digests"]["volumes"]
    assert len(Looks(settings, prepared, report.scans).all()) == 3


def test_what_another_sweep_has_trained_is_taken_from_it(tmp_path: Path, ray_local: None) -> None:
    settings = settings_in(tmp_path / "home")
    search = {**SEARCH, "seeds": [0, 1], "racing": {"rungs": [1], "finalists": 1}}
    first = write_study(tmp_path, search=search)
    printed = run(first, settings)
    assert "taken" not in printed
    renamed = replace(first, spec=first.spec.model_copy(update={"name": "renamed"}))
    assert Local(settings).plan(renamed).there >= 2
    printed = run(renamed, settings)
    assert results(renamed, settings) == results(first, settings), "it is as if it had trained them"
    counted = SweepFolder.find(settings, "renamed").read_state()
    whole = sum(len(r.values) for r in read_records(Path(settings.storage_path) / first.sweep_id, first.spec.plan))
    assert (counted.taken, counted.seed_runs) == (whole, whole)
    assert f"{whole} taken from other runs" in printed and "test split read 2 times" in printed
    assert final(settings, renamed).predictions == final(settings, first).predictions
    fresh = replace(renamed, spec=renamed.spec.model_copy(update={"name": "fresh"}))
    again = fresh.spec.model_copy(update={"search": fresh.spec.search.model_copy(update={"fresh": True})})
    assert "taken" not in run(replace(fresh, spec=again), settings)


def test_two_sweeps_that_need_a_run_at_the_same_moment_train_it_once(tmp_path: Path, ray_local: None) -> None:
    settings = settings_in(tmp_path / "home")
    loaded = write_study(tmp_path, search={**SEARCH, "trials": 2, "parallel": 1})
    names = ("one", "two")
    sweeps = [replace(loaded, spec=loaded.spec.model_copy(update={"name": name})) for name in names]
    code = "from contrasweep.services.cli import main; main()"
    for sweep in sweeps:
        (tmp_path / f"{sweep.spec.name}.yaml").write_text(sweep.spec.to_yaml())
    environment = {**os.environ, "CONTRASWEEP_HOME": str(settings.home)}
    run_quiet = [sys.executable, "-c", code, "prepare", str(tmp_path / "one.yaml")]
    subprocess.run(run_quiet, env=environment, check=True, capture_output=True)
    drivers = [
        subprocess.Popen([sys.executable, "-c", code, "run", str(tmp_path / f"{name}.yaml")], env=environment)
        for name in names
    ]
    assert [driver.wait(timeout=600) for driver in drivers] == [0, 0]
    taken = [SweepFolder.find(settings, name).read_state().taken for name in names]
    assert sum(taken) == 2, "each run was trained by one of them"
    assert results(sweeps[0], settings) == results(sweeps[1], settings)
