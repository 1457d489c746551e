import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from contrasweep.services.records.code import code_digest
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs import driver
from contrasweep.trainers.errors import UserError
from tests.services.small_study import write_study


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    """What the driver answers, as it is told on a command line."""
    monkeypatch.setattr("sys.argv", ["driver", *words])
    with pytest.raises(SystemExit):
        driver.main()
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line.removeprefix(driver.ANSWER)) for line in lines if line.startswith(driver.ANSWER)]


def test_answers(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answered = {"end": "answered"}
    assert call(monkeypatch, capsys, "ask", "sweeps") == [{"answer": []}, answered]
    assert call(monkeypatch, capsys, "ask", "sweeps", "--code", code_digest()) == [{"answer": []}, answered]
    assert call(monkeypatch, capsys, "ask", "sweeps", "--code", "0" * 64) == [{"end": "other code"}]
    assert call(monkeypatch, capsys, "ask", "known", "small-00000000") == [{"answer": None}, answered]
    [unknown] = call(monkeypatch, capsys, "ask", "compare", "small,large")
    assert str(unknown["reason"]).startswith("no sweep 'small'")
    [refused] = call(monkeypatch, capsys, "ask", "status", "small")
    assert refused["end"] == "refused"
    assert str(refused["reason"]).startswith("no sweep 'small'")


def test_a_driver_runs_the_sweep_that_it_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or else the one that another version has begun with this spec, and only then the one that the spec hashes to."""
    loaded, driven = write_study(tmp_path), list[str]()

    def run_sweep(placed: LoadedSpec, settings: Settings, *_: object, **__: object) -> SweepState:
        driven.append(placed.sweep_id)
        return SweepState(id=placed.sweep_id, state="finished")

    monkeypatch.setattr("contrasweep.services.sweep.run.run_sweep", run_sweep)
    words = ["driver", "run", str(loaded.path), "--base", str(tmp_path), "--user", "ada", "--attempt", "1"]
    for more in (["--id", "small-00000001"], []):
        monkeypatch.setattr("sys.argv", [*words, *more])
        with pytest.raises(SystemExit):
            driver.main()
    assert driven == ["small-00000001", loaded.sweep_id]
    SweepFolder.create(Settings(home=home), replace(loaded, known_as="small-00000002"))
    with pytest.raises(SystemExit):
        driver.main()
    assert driven[-1] == "small-00000002"


def test_relative_settings_start_from_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONTRASWEEP_HOME", raising=False)
    settings = driver._settings()
    assert settings.home == Path.home() / ".contrasweep"
    assert settings.ray_address == "auto"


def test_where_relative_paths_start(tmp_path: Path) -> None:
    loaded = write_study(tmp_path / "here")
    settings = Settings(home=tmp_path / "home")
    assert driver._place(loaded, settings).base == tmp_path / "here"
    elsewhere = LoadedSpec(loaded.spec, loaded.path, tmp_path / "laptop")
    assert driver._place(elsewhere, settings).base == tmp_path / "laptop"
    write_study(tmp_path / "home")
    assert driver._place(elsewhere, settings).base == tmp_path / "home"
    roots = Settings(home=tmp_path / "home", data_roots=(tmp_path / "none", tmp_path / "here"))
    assert driver._place(elsewhere, roots).base == tmp_path / "here"


def test_a_failure_before_there_is_a_sweep_is_kept(tmp_path: Path) -> None:
    loaded, settings = write_study(tmp_path), Settings(home=tmp_path / "home")
    with pytest.raises(UserError), driver._failures_kept(loaded, settings, "ann", 3):
        raise UserError("no such file")
    state = SweepFolder(settings.sweeps / loaded.spec.sweep_id).read_state()
    assert (state.state, state.reason, state.user, state.attempt) == ("failed", "no such file", "ann", 3)


def test_what_is_done_stays_done(tmp_path: Path) -> None:
    loaded, settings = write_study(tmp_path), Settings(home=tmp_path / "home")
    folder = SweepFolder.create(settings, loaded)
    with folder.driving() as state:
        state.state = "finished"
    with pytest.raises(UserError), driver._failures_kept(loaded, settings, "ann", 3):
        raise UserError("no such file")
    assert folder.read_state().state == "finished"
    assert os.listdir(settings.sweeps) == [loaded.spec.sweep_id]


def test_a_failure_that_the_sweep_has_told_leaves_where_it_runs_from(tmp_path: Path) -> None:
    placed, settings = write_study(tmp_path / "root"), Settings(home=tmp_path / "home")
    given = LoadedSpec(placed.spec, Path("spec.yaml"), tmp_path / "laptop")
    with pytest.raises(OSError, match="disk"), driver._failures_kept(given, settings, "ada", 1):
        folder = SweepFolder.create(settings, placed)
        with folder.driving("ada", 1):
            raise OSError("disk full")
    assert (folder.read_state().reason, folder.load().base) == ("OSError: disk full", tmp_path / "root")
    with pytest.raises(OSError, match="gone"), driver._failures_kept(given, settings, "ada", 2):
        raise OSError("gone")
    assert (folder.read_state().reason, folder.read_state().attempt) == ("OSError: gone", 2)
