"""The verbs over the folders of this machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contrasweep.services.records.folder import BROKEN, FINISHED, RUNNING, STOPPED, SweepFolder, SweepState
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs.local import Local, describe, trial_log_path
from contrasweep.trainers.errors import UserError
from tests.services.past import leave, spec

SPEC = spec(seeds=[0, 1])
DRIVE = """
import subprocess, sys, time
from pathlib import Path
from contrasweep.services.records.folder import SweepFolder
with SweepFolder(Path(sys.argv[1])).driving():
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(settings: Settings) -> SweepFolder:
    """A sweep that has not been driven yet."""
    return SweepFolder.create(settings, LoadedSpec(SPEC, Path("study.yaml"), settings.home.parent))


def storage(settings: Settings, folder: SweepFolder) -> Path:
    return Path(settings.storage_path) / folder.sweep_id


def finished(number: int) -> SweepState:
    return SweepState(
        id=f"study-{number:08x}",
        state=FINISHED,
        gpu_hours=4.0,
        started=1e9 - number,
        label="age",
        trials=4,
        ended=4,
        best=number / 10,
    )


def test_a_thousand_sweeps_are_listed_and_no_spec_is_read(settings: Settings) -> None:
    for number in range(1000):
        path = settings.sweeps / f"study-{number:08x}"
        path.mkdir(parents=True)
        (path / "spec.yaml").write_text("no: [YAML")
        (path / "state.json").write_text(finished(number).to_json())
    sweeps = Local(settings).sweeps()
    assert [sweep.best for sweep in sweeps] == [number / 10 for number in reversed(range(1000))], "the oldest first"
    assert (sweeps[0].name, sweeps[0].state, sweeps[0].gpu_hours, sweeps[0].label) == ("study", "finished", 4.0, "age")


def test_one_of_an_older_version_is_described_by_what_it_left(settings: Settings, folder: SweepFolder) -> None:
    (folder.path / "state.json").write_text('{"state": "stopped", "spent_s": 5, "started": 9, "pid": 1, "reason": ""}')
    leave(storage(settings, folder), 0, {0: [5.0] * 4, 1: [6.0] * 4})
    (sweep,) = Local(settings).sweeps()
    assert (sweep.label, sweep.trials, sweep.seeds, sweep.ended, sweep.best) == ("age", 30, 2, 1, 5.5)


def test_states(settings: Settings, folder: SweepFolder) -> None:
    verbs = Local(settings)
    assert verbs.status("study").state == "stopped"
    with pytest.raises(OSError), folder.driving("ada", 3):
        assert (describe(folder).state, describe(folder).user, describe(folder).attempt) == ("running", "ada", 3)
        assert verbs.stop("study").state == "stopping"
        assert folder.is_asked_to_stop(3)
        raise OSError("disk full")
    assert folder.read_state().state == BROKEN
    assert (verbs.status("study").state, verbs.status("study").reason) == ("failed", "OSError: disk full")
    with pytest.raises(UserError, match=f"sweep {folder.sweep_id} is not running; it is failed"):
        verbs.stop("study")


def test_trials(settings: Settings, folder: SweepFolder) -> None:
    assert Local(settings).trials("study") == []
    leave(storage(settings, folder), 0, {0: [5.0] * 4})
    leave(storage(settings, folder), 1, {0: [5.0] * 4, 1: [6.0] * 4})
    assert [(trial.number, trial.state) for trial in Local(settings).trials("study")] == [
        (1, "complete"),
        (0, "running"),
    ]


def test_sweeps_are_compared_that_there_are(settings: Settings, folder: SweepFolder) -> None:
    leave(storage(settings, folder), 0, {0: [5.0] * 4, 1: [6.0] * 4})
    other = spec(seeds=[0, 1], spaces=["simclr"])
    second = SweepFolder.create(settings, LoadedSpec(other, Path("study.yaml"), settings.home.parent))
    compared = Local(settings).compare([folder.sweep_id, second.sweep_id])
    assert compared.fields == {"search.spaces": [["dynlocrep"], ["simclr"]]}
    assert [one.sweep.id for one in compared.sweeps] == [folder.sweep_id, second.sweep_id]
    assert compared.sweeps[0].best and compared.sweeps[0].sweep.best == 5.5
    for asked, said in (
        ([folder.sweep_id], f"compare: '{folder.sweep_id}' alone is not allowed: two sweeps or more"),
        ([folder.sweep_id] * 2, f"'{folder.sweep_id}' is named 2 times; two different sweeps or more"),
        ([folder.sweep_id, second.sweep_id[:-2] + "zz"], f"did you mean '{second.sweep_id}'"),
    ):
        with pytest.raises(UserError, match=said):
            Local(settings).compare(asked)


def test_logs(settings: Settings, folder: SweepFolder) -> None:
    verbs = Local(settings)
    assert list(verbs.logs("study")) == []
    folder.log.write_text("one\ntwo\n")
    assert list(verbs.logs("study")) == ["one", "two"]
    assert list(verbs.logs("study", follow=True)) == ["one", "two"], "it is not active"
    with pytest.raises(UserError, match=r"trial 3 of sweep study-\w+ has not begun; none has"):
        verbs.logs("study", trial=3)
    leave(storage(settings, folder), 0, {0: [5.0]})
    trial_log_path(settings, folder.sweep_id, 0).write_text("epoch\n")
    assert list(verbs.logs("study", trial=0)) == ["epoch"]
    with pytest.raises(UserError, match="has not begun; 0 to 0 have"):
        verbs.logs("study", trial=3)


def test_a_log_is_followed_until_the_sweep_ends(settings: Settings, folder: SweepFolder) -> None:
    read: list[str] = []

    def follow() -> None:
        read.extend(Local(settings).logs("study", follow=True))

    with folder.driving() as state:
        thread = threading.Thread(target=follow)
        thread.start()
        folder.log.write_text("one\n")
        time.sleep(0.1)
        assert thread.is_alive()
        with folder.log.open("a") as file:
            file.write("last\n")
        state.state = FINISHED
    thread.join()
    assert read == ["one", "last"]


@pytest.fixture
def driver(folder: SweepFolder) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """Another process that drives the sweep, and the process that it started."""
    command = [sys.executable, "-c", DRIVE, str(folder.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    child = int(process.stdout.readline())
    yield process, child
    process.kill()
    if psutil.pid_exists(child):
        os.kill(child, signal.SIGKILL)


def test_stop_now_kills_the_driver_and_what_it_started(
    settings: Settings, folder: SweepFolder, driver: "tuple[subprocess.Popen[str], int]"
) -> None:
    process, child = driver
    sweep = Local(settings).stop("study", now=True)
    assert process.wait(timeout=5) == -signal.SIGKILL
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=5)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert (sweep.state, sweep.reason) == ("stopped", "killed by `stop --now`")
    with folder.driving() as state:
        assert (state.state, state.attempt) == (RUNNING, 2), "it can go on"
        state.state = STOPPED


def test_stop_now_of_a_driver_on_another_machine(settings: Settings, folder: SweepFolder) -> None:
    with folder.driving() as state:
        state.host = "head.example"
        folder.write_state(state)
        with pytest.raises(UserError, match=r"runs on head\.example, in process \d+: stop it there, or through"):
            Local(settings).stop("study", now=True)
        assert Local(settings).stop("study").state == "stopping"


def test_submitting_needs_somebody_else(settings: Settings, folder: SweepFolder) -> None:
    with pytest.raises(UserError, match=r"or --server URL; `contrasweep run \S*study\.yaml`"):
        Local(settings).submit(folder.load())
    with pytest.raises(UserError, match=f"`contrasweep resume {folder.sweep_id}` goes on with it here"):
        Local(settings).resume("study")


def test_the_report(settings: Settings, folder: SweepFolder) -> None:
    assert folder.sweep_id in Local(settings).report("study")
