"""Sweeps where locks are weak, drivers are replaced, and clocks jump: one drives at a time, to the same leaderboard."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contrasweep.services.records.folder import FINISHED
from contrasweep.services.records.trial_record import begun_trials
from contrasweep.services.settings import Settings
from tests.chaos.undisturbed import Undisturbed, start, undisturbed
from tests.cluster.database import postgres

__all__ = ["undisturbed"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

WITHOUT_FLOCK = """
import errno, fcntl, os

def flock(file, operation):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

fcntl.flock = flock
"""

JUMPING = """
import os, time

real = time.time
time.time = lambda: real() + (float(open({path!r}).read() or 0) if os.path.exists({path!r}) else 0)
"""

OPEN = """
import sys
from pathlib import Path
from contrasweep.services.settings import Settings
from contrasweep.services.stores.optuna import open_storage

settings = Settings(home=Path(sys.argv[1]), optuna_storage=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
open_storage(settings)
"""


def python_with(folder: Path, code: str) -> dict[str, str]:
    """An environment in which every Python begins with `code`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def under_way(undisturbed: Undisturbed, settings: Settings, process: "subprocess.Popen[str]") -> None:
    """Wait until the second configuration has begun."""
    while len(begun_trials(Path(settings.storage_path) / undisturbed.loaded.sweep_id)) < 2:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


def ended(process: "subprocess.Popen[str]", code: int = 0) -> str:
    """What a command printed that ended as it should."""
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == code, printed
    assert "Traceback" not in printed
    return printed


def give_to_another_host(lease: Path, held: str) -> None:
    """Leave what is `held` here as the lease of a machine `node7`, touched just now."""
    told = ["host=node7" if line.startswith("host=") else line for line in held.splitlines()]
    lease.with_name("copy").write_text("\n".join(told) + "\n")
    lease.with_name("copy").replace(lease)


@contextmanager
def touched(lease: Path) -> Iterator[None]:
    """Touch a lease, as its holder on another machine does, for as long as the block."""
    over = threading.Event()

    def touch() -> None:
        while not over.wait(1.0):
            os.utime(lease)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_home_without_flock_whose_driver_is_killed_and_seen_on_another_host(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings, sweep_id = undisturbed.home(tmp_path / "home"), undisturbed.loaded.sweep_id
    environment = python_with(tmp_path / "site", WITHOUT_FLOCK)
    lease = undisturbed.folder(settings).path / "lock.lease"
    process = start("run", str(undisturbed.loaded.path), home=settings.home, **environment)
    under_way(undisturbed, settings, process)
    held = lease.read_text()
    process.kill()
    process.wait()
    assert "interrupted" in ended(start("list", home=settings.home, **environment))

    give_to_another_host(lease, held)
    with touched(lease):
        assert "running" in ended(start("list", home=settings.home, **environment))
        refused = ended(start("resume", sweep_id, home=settings.home, **environment), code=2)
    assert f"sweep {sweep_id} is already running, in process {process.pid} on node7, seen" in refused.splitlines()[-1]

    os.utime(lease, (time.time() - 3600, time.time() - 3600))
    assert "interrupted" in ended(start("list", home=settings.home, **environment))
    ended(start("resume", sweep_id, home=settings.home, **environment))
    undisturbed.check_equals(settings)
    assert not lease.exists()


def test_a_driver_that_slept_while_another_took_over(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings, sweep_id = undisturbed.home(tmp_path / "home"), undisturbed.loaded.sweep_id
    environment = python_with(tmp_path / "site", WITHOUT_FLOCK)
    folder = undisturbed.folder(settings)
    lease = folder.path / "lock.lease"
    process = start("run", str(undisturbed.loaded.path), home=settings.home, **environment)
    under_way(undisturbed, settings, process)
    process.send_signal(signal.SIGSTOP)
    give_to_another_host(lease, lease.read_text())
    before = (folder.path / "state.json").read_bytes()
    with touched(lease):
        process.send_signal(signal.SIGCONT)
        said = ended(process, code=2).splitlines()[-1]
    assert f"sweep {sweep_id} was taken over while this machine slept or hung: process {process.pid} on node7" in said
    assert (folder.path / "state.json").read_bytes() == before
    lease.unlink()
    ended(start("resume", sweep_id, home=settings.home, **environment))
    undisturbed.check_equals(settings)


def test_clocks_that_jump_by_hours(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings, ahead = undisturbed.home(tmp_path / "home"), tmp_path / "ahead"
    environment = python_with(tmp_path / "site", JUMPING.format(path=str(ahead)))
    study = tmp_path / "study.yaml"
    study.write_text(f"{undisturbed.loaded.path.read_text()}budget: {{hours: 1}}\n")
    for name in ("participants.tsv", "images"):
        (tmp_path / name).symlink_to(undisturbed.loaded.path.with_name(name))
    process = start("run", str(study), home=settings.home, **environment)
    under_way(undisturbed, settings, process)
    ahead.write_text(str(5 * 3600))
    while len(begun_trials(Path(settings.storage_path) / undisturbed.loaded.sweep_id)) < 4:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    ahead.write_text(str(-5 * 3600))
    ended(process)
    undisturbed.check_equals(settings)
    state = undisturbed.folder(settings).read_state()
    assert state.state == FINISHED and 0 < state.spent_s < 3600


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("homes", ["one", "several"])
def test_first_starts_at_the_same_moment(tmp_path: Path, kind: str, homes: str) -> None:
    if kind == "sqlite":
        open_at_once(tmp_path, homes, f"sqlite:///{tmp_path / 'optuna.db'}")
    else:
        with postgres() as database:
            open_at_once(tmp_path, homes, database.create_with_password("optuna"))


def open_at_once(folder: Path, homes: str, address: str) -> None:
    """Four processes open the same new database, each with a home of its own or all with one."""
    own = [str(folder / "home" / (str(number) if homes == "several" else "")) for number in range(4)]
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, home, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for home in own
    ]
    for process in opening:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in opening:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in opening:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0, printed
