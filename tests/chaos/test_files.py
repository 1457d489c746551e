"""Files that are damaged or lost while a sweep is stopped, killed or finished: it ends as the undisturbed one."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.trainers.history import COMPLETE, History
from tests.chaos.undisturbed import Undisturbed, start, undisturbed
from tests.damage import cut, flip

__all__ = ["undisturbed"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
PATIENCE_S = 400


def run(undisturbed: Undisturbed, settings: Settings, *command: str, code: int = 0) -> str:
    """What a command on the sweep prints, by default `run`."""
    words = command or ("run", str(undisturbed.loaded.path))
    process = start(*words, home=settings.home)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, printed
    return printed


def killed(undisturbed: Undisturbed, settings: Settings, when: Callable[[Path], bool]) -> Path:
    """The storage of a sweep whose driver was killed, with all that it started, once something is there."""
    process = start("run", str(undisturbed.loaded.path), home=settings.home)
    storage = Path(settings.storage_path) / undisturbed.loaded.sweep_id
    deadline = time.monotonic() + PATIENCE_S
    while not when(storage):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    for one in (process, *psutil.Process(process.pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate()
    return storage


def is_whole(storage: Path, number: int) -> bool:
    """Whether a configuration's last run is."""
    history = History.read(storage / f"trial-{number:04d}/seed-1")
    return history is not None and history.state == COMPLETE


def finished(undisturbed: Undisturbed, settings: Settings) -> SweepFolder:
    """A copy of the undisturbed sweep in another home."""
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(undisturbed.settings.home, settings.home, dirs_exist_ok=True)
    return undisturbed.folder(settings)


def test_a_killed_sweep_with_a_damaged_checkpoint(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = undisturbed.home(tmp_path)
    storage = killed(undisturbed, settings, lambda storage: bool(list(storage.glob("trial-*/seed-*/previous.pt"))))
    damaged = next(path for path in storage.glob("trial-*/seed-*/latest.pt") if path.with_name("previous.pt").exists())
    flip(damaged)
    (damaged.with_name(".latest.pt.99999999")).write_bytes(b"half")
    printed = run(undisturbed, settings, "resume", undisturbed.loaded.sweep_id)
    undisturbed.check_equals(settings)
    assert not list(storage.rglob(".latest.pt.*"))
    assert f"{damaged} is damaged" in printed + "".join(path.read_text() for path in storage.glob("trial-*/log.txt"))


def test_all_that_a_sweep_left_is_damaged_before_its_end(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = undisturbed.home(tmp_path)
    storage = killed(undisturbed, settings, lambda storage: is_whole(storage, 1))
    cut(undisturbed.folder(settings).path / "state.json")
    cut(undisturbed.folder(settings).path / "drivers.json")
    cut(storage / "trial-0000/seed-0/history.json")
    flip(storage / "trial-0000/seed-0/latest.pt")
    cut(storage / "trial-0001/trial.json")
    with sqlite3.connect(settings.home / "optuna.db") as database:
        (row,) = database.execute("SELECT trial_id FROM trials WHERE number = 0").fetchone()
        for table in ("trials", "trial_params", "trial_user_attributes", "trial_system_attributes", "trial_values"):
            database.execute(f"DELETE FROM {table} WHERE trial_id = ?", (row,))
    database.close()
    printed = run(undisturbed, settings)
    undisturbed.check_equals(settings)
    assert "Optuna lost trials 0" in printed


def test_the_end_is_evaluated_again_where_its_report_or_its_weights_are_damaged(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = undisturbed.home(tmp_path)
    folder = finished(undisturbed, settings)
    before, storage = FinalReport.read(folder.final), Path(settings.storage_path) / folder.sweep_id
    cut(folder.final)
    for best in sorted(storage.glob(f"trial-{before.trial:04d}/seed-*/best.pt"))[:1]:
        flip(best)
    said = run(undisturbed, settings, "status", folder.sweep_id)
    assert "final.json is damaged: `contrasweep resume` evaluates the end again" in said
    printed = run(undisturbed, settings, "resume", folder.sweep_id)
    undisturbed.check_equals(settings)
    assert "best.pt is damaged" in printed and "its seed is trained anew" in printed
    after = FinalReport.read(folder.final)
    assert (after.predictions, after.looks) == (before.predictions, before.looks)


def test_a_budget_that_ends_a_sweep_before_anything_is_whole(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings, sweep_id = undisturbed.home(tmp_path), undisturbed.loaded.sweep_id
    spec = with_budget(undisturbed, 0.00001)
    printed = run(undisturbed, settings, "run", str(spec), code=2)
    state = undisturbed.folder(settings).read_state()
    told = "the budget of 1e-05 h ended it with 5 of 5 configurations unfinished, and nothing to evaluate"
    assert state.state == STOPPED and told in state.reason and told in printed
    assert state.reason in run(undisturbed, settings, "resume", sweep_id, code=2)
    run(undisturbed, settings, "extend", sweep_id, "--hours", "5")
    undisturbed.check_equals(settings)
    state = undisturbed.folder(settings).read_state()
    assert (state.state, state.unfinished, state.phases) == (FINISHED, 0, ())


def test_a_budget_that_ends_a_sweep_in_the_middle(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings, sweep_id = undisturbed.home(tmp_path), undisturbed.loaded.sweep_id
    killed(undisturbed, settings, lambda storage: is_whole(storage, 0))
    printed = run(undisturbed, settings, "run", str(with_budget(undisturbed, 0.00001)))
    folder = undisturbed.folder(settings)
    state = folder.read_state()
    assert state.state == FINISHED and f"with {state.unfinished} of 5 configurations unfinished; go on" in state.reason
    for command in ("status", "report", "resume"):
        printed += run(undisturbed, settings, command, sweep_id)
    assert printed.count(state.reason) == 4
    run(undisturbed, settings, "run", str(with_budget(undisturbed, 5)))
    undisturbed.check_equals(settings)
    state = folder.read_state()
    assert (state.unfinished, state.reason, len(state.phases)) == (0, "", 1)
    assert (FinalReport.read(folder.final).phase, FinalReport.read(folder.final).looks) == (1, 2)


def with_budget(undisturbed: Undisturbed, hours: float) -> Path:
    """The study's spec with a budget."""
    spec = undisturbed.loaded.path.with_name("budget.yaml")
    spec.write_text(f"{undisturbed.loaded.path.read_text()}budget: {{hours: {hours:.5f}}}\n")
    return spec
