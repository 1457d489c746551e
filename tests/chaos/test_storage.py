"""Storage that fails a sweep while it runs: it waits, with the reason, and goes on to the same leaderboard."""

import errno
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from contrasweep.services.records.folder import INTERRUPTED, STOPPED, SweepFolder
from contrasweep.services.records.trial_record import FAILED, begun_trials, read_records
from contrasweep.services.settings import Settings
from tests.chaos.undisturbed import Undisturbed, start, undisturbed

__all__ = ["undisturbed"]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SIZE = 64 << 20
STOPPED_CODE = 130

Fault = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own. Skips where nothing can be mounted."""
    mounted, image = tmp_path / "disk", tmp_path / "image"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Nothing more can be written, by root neither."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    yield
    ballast.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """What the kernel makes of a disk that fails; then it is mounted anew."""
    subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=True)
    yield
    subprocess.run(["umount", str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(disk.with_name("image")), str(disk)], check=True)


@contextmanager
def locked(disk: Path) -> Iterator[None]:
    """Somebody else holds Optuna's database, for longer than is waited for."""
    with closing(sqlite3.connect(disk / "home" / "optuna.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "full": (full, STOPPED, "No space left on device; make room there, and `contrasweep resume` goes on"),
    "read-only": (read_only, INTERRUPTED, "; have it mounted for writing again, and `contrasweep resume` goes on"),
    "locked": (locked, STOPPED, "Optuna's database: database is locked; see to it, and `contrasweep resume` goes on"),
}
"""Each with the state that it leaves, and what the person reads who waits at the screen."""


def under_way(sweep: SweepFolder, settings: Settings, process: "subprocess.Popen[str]") -> None:
    """Wait until the second configuration has begun."""
    while len(begun_trials(Path(settings.storage_path) / sweep.sweep_id)) < 2:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


@pytest.mark.parametrize("name", FAULTS)
def test_the_sweep_waits_and_goes_on(undisturbed: Undisturbed, disk: Path, name: str) -> None:
    fault, state, told = FAULTS[name]
    settings, loaded = undisturbed.home(disk / "home"), undisturbed.loaded
    database = f"sqlite:///{settings.home / 'optuna.db'}?timeout=2"
    sweep = undisturbed.folder(settings)
    process = start("run", str(loaded.path), home=settings.home, CONTRASWEEP_OPTUNA_STORAGE=database)
    under_way(sweep, settings, process)
    with fault(disk):
        printed, _ = process.communicate(timeout=400)
        assert process.returncode == STOPPED_CODE, printed
        assert told in printed and "Traceback" not in printed, printed
        assert f"stopped; go on with: contrasweep resume {loaded.sweep_id}" in printed
        left = sweep.read_state()
        assert left.state == state
        assert state == INTERRUPTED or told in left.reason
    records = read_records(Path(settings.storage_path) / loaded.sweep_id, loaded.spec.plan)
    assert FAILED not in {record.state for record in records}
    resumed = start("resume", loaded.sweep_id, home=settings.home)
    printed, _ = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, printed
    undisturbed.check_equals(settings)
