"""What killed writers left is removed, and what is damaged of a sweep's records is said and made good."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import keep_race, read_record, run_folder, trial_folder
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.sweep.mending import mend, remove_partial
from contrasweep.trainers.history import History
from tests.damage import cut, empty
from tests.services.past import leave, spec

PLAN = spec(seeds=[0, 1]).plan
MAES = {0: [5.0] * 4, 1: [4.0] * 4}


def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_what_no_living_process_writes_is_removed(tmp_path: Path) -> None:
    dead, alive = ended(), os.getpid()
    left = [f".latest.pt.{dead}", f"trial-0000/.{dead}.model", f".{dead}-former.model", f".old.pt.{alive}"]
    kept = [f".latest.pt.{alive}", ".seed-runs", "latest.pt", f"trial-0000/latest.{dead}", ".train"]
    for name in (*left, *kept):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    os.utime(tmp_path / f".old.pt.{alive}", (0, 0))  # of a process whose number this one has got
    (tmp_path / f".{dead}.folder").mkdir()
    assert {path.name for path in remove_partial(tmp_path)} == {Path(name).name for name in left} | {f".{dead}.folder"}
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["trial-0000", *(Path(n).name for n in kept)])


@pytest.mark.parametrize("damage", [cut, empty])
def test_what_is_damaged_is_said_and_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    for number in range(4):
        leave(tmp_path, number, MAES, planned=[0, 1])
    keep_race(tmp_path, 3, PLAN)
    damage(trial_folder(tmp_path, 1) / "trial.json")
    damage(run_folder(tmp_path, 2, Replicate(1)) / "history.json")
    damage(trial_folder(tmp_path, 3) / "raced.json")
    assert [record and record.state for record in (read_record(tmp_path, n, PLAN) for n in range(4))] == [
        "complete",
        None,
        "running",
        "complete",
    ]
    with caplog.at_level(logging.WARNING, logger="contrasweep.sweep"):
        mend(SweepFolder(tmp_path / "home"), tmp_path)
    assert [line.removeprefix(f"{tmp_path}/") for line in caplog.messages] == [
        "trial-0001/trial.json is damaged; its configuration is drawn again",
        "trial-0003/raced.json is damaged; its configuration is run again",
        "trial-0002/seed-1/history.json is damaged or gone; its seed is trained anew",
    ]
    assert not trial_folder(tmp_path, 3).exists()
    assert all(History.read(run_folder(tmp_path, 1, Replicate(seed))) for seed in (0, 1)), "the runs are kept"
    mend(SweepFolder(tmp_path / "home"), tmp_path)
    assert len(caplog.messages) == 3, "it is said once"
