"""Homes that earlier versions left: one of 0.1.0, one of the version before services had rooms.

Each holds a study of 24 people and two sweeps of it, `done` and `half`, the second stopped in the middle. They were
written by those versions; folders of artifacts, and checkpoints that nothing reads, were left out.
"""

import io
import sqlite3
import sys
import tarfile
from pathlib import Path

import pytest
from rich.console import Console

from contrasweep.services.records.folder import FINISHED, SweepFolder, known_id, recognised
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import load_spec
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.errors import UserError

OLD_HOMES = Path(__file__).with_name("old_homes")
DONE = {"0.1.0": "done-a895d360", "before-rooms": "done-dbd29c50"}
HALF = {"0.1.0": "half-45486425", "before-rooms": "half-8d32dd0c"}
WRITTEN_IN = "/home/ada/study"


@pytest.fixture(params=DONE)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def unpacked(version: str, folder: Path) -> Settings:
    """The home of a version, moved to `folder`."""
    with tarfile.open(OLD_HOMES / f"{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    study = folder / "study"
    for origin in study.glob("home/sweeps/*/origin.json"):
        origin.write_text(origin.read_text().replace(WRITTEN_IN, str(study)))
    for spec in study.glob("*.yaml"):  # what says nothing of it asks for a new sweep, tuned fairly
        spec.write_text(spec.read_text().replace("search:\n", "search:\n  fair: false\n"))
    with sqlite3.connect(study / "home" / "mlflow.db") as database:
        moved = (f"{study}/home/artifacts/",)
        database.execute("UPDATE experiments SET artifact_location = ? || name", moved)
        database.execute("UPDATE runs SET artifact_uri = ? || run_uuid", moved)
    return Settings(home=study / "home")


def test_its_sweeps_are_told_of(version: str, tmp_path: Path) -> None:
    local = Local(unpacked(version, tmp_path))
    sweeps = {sweep.id: sweep for sweep in local.sweeps()}
    assert {name: sweeps[name].state for name in sweeps} == {DONE[version]: "finished", HALF[version]: "stopped"}
    done = local.status(DONE[version])
    assert (done.ended, done.trials, done.seed_runs) == (2, 2, 4)
    assert done.final is not None and done.final.metrics["mae"].value == pytest.approx(done.test_mae)
    best = local.trials(DONE[version])[0]
    assert best.state == "complete"
    assert best.objective == pytest.approx(done.best)
    assert done.id in local.report(done.id)


def test_a_spec_that_is_done_is_known_under_its_old_id(version: str, tmp_path: Path) -> None:
    settings = unpacked(version, tmp_path)
    loaded = load_spec(tmp_path / "study" / "done.yaml")
    assert loaded.sweep_id != DONE[version], "this version would call it otherwise"
    assert recognised(loaded, settings).sweep_id == DONE[version]
    assert known_id("done-00000000", settings) == "done-00000000", "another sweep of the same name is not meant"


def test_running_it_again_shows_it_and_starts_no_ray(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from contrasweep.services.cli import sweeps

    settings = unpacked(version, tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(settings.home))
    printed = io.StringIO()
    monkeypatch.setattr(sweeps, "console", Console(file=printed, highlight=False))
    monkeypatch.setitem(sys.modules, "contrasweep.services.sweep.run", None)
    sweeps.run(tmp_path / "study" / "done.yaml")
    assert printed.getvalue().startswith(f"{DONE[version]} is done; it ran from {tmp_path}/study\n")
    assert "test MAE" in printed.getvalue()


@pytest.mark.ray
def test_a_stopped_one_goes_on_and_keeps_what_it_has(tmp_path: Path, ray_local: None) -> None:
    from contrasweep.services.sweep.run import run_sweep

    settings, sweep_id = unpacked("before-rooms", tmp_path), HALF["before-rooms"]
    finished = sorted((Path(settings.storage_path) / sweep_id).glob("trial-0000/seed-*/history.json"))
    before = [path.read_bytes() for path in finished]
    loaded = recognised(load_spec(tmp_path / "study" / "half.yaml"), settings)
    assert run_sweep(loaded, settings, Console(file=io.StringIO())).state == FINISHED
    assert [path.read_bytes() for path in finished] == before
    assert [sweep.id for sweep in Local(settings).sweeps()] == [DONE["before-rooms"], sweep_id], "it is no new sweep"
    assert Local(settings).status(sweep_id).ended == 4


@pytest.mark.ray
def test_where_volumes_are_kept_otherwise_now_it_says_so_and_changes_nothing(tmp_path: Path, ray_local: None) -> None:
    from contrasweep.services.sweep.run import run_sweep

    settings = unpacked("0.1.0", tmp_path)
    loaded = recognised(load_spec(tmp_path / "study" / "half.yaml"), settings)
    before = SweepFolder(settings.sweeps / HALF["0.1.0"]).read_state()
    with pytest.raises(UserError, match=rf"sweep {HALF['0.1.0']} began on volumes e20be245d5bb"):
        run_sweep(loaded, settings, Console(file=io.StringIO()))
    assert Local(settings).status(loaded.sweep_id).ended == before.ended
