"""Locks of both kinds: one holder at a time, gone with its process, and never taken from one who lives."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services import locks
from contrasweep.services.locks import has_flock, holder_of, holding, is_held, patience

HOLD = """
import sys, time
from pathlib import Path
from contrasweep.services import locks
if sys.argv[2] == "lease":
    locks.has_flock = lambda folder: False
with locks.holding(Path(sys.argv[1]), locks.patience(0)) as held:
    print(held is not None, flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["flock", "lease"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which kind the file system is given."""
    if request.param == "lease":
        without_flock(monkeypatch)
    return str(request.param)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is known of file systems is found out anew."""
    monkeypatch.setattr(locks, "_known", {})
    yield


def without_flock(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSYS) -> None:
    def flock(file: Any, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def other(path: Path, kind: str) -> "subprocess.Popen[str]":
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "True\n"
    return process


def lease_of_another_host(path: Path) -> Path:
    """The lease at `path` as a process of another machine leaves it, touched just now."""
    with holding(path, patience(0)):
        lease = path.with_name(f"{path.name}.lease")
        text = lease.read_text().splitlines()
    told = ["host=node7" if line.startswith("host=") else line for line in text]
    lease.write_text("\n".join(told) + "\n")
    return lease


def test_one_holder_at_a_time_and_none_once_it_was_killed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with other(path, kind) as process:
        assert is_held(path)
        with holding(path, patience(0)) as held:
            assert held is None
        process.kill()
        process.wait()
        assert not is_held(path)
        with holding(path, patience(0)) as held:
            assert held is not None and not held.is_lost
            assert is_held(path)
    assert not is_held(path)


def test_it_is_waited_for_as_long_as_is_wanted(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks._Lease, "poll_s", 0.01)
    looks = iter([True, True, False])
    with holding(tmp_path / "lock", patience(0)), holding(tmp_path / "lock", lambda: next(looks), 0.01) as held:
        assert held is None and next(looks, None) is None


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    assert has_flock(tmp_path)
    monkeypatch.setattr(locks, "_known", {})
    without_flock(monkeypatch, number)
    assert not has_flock(tmp_path)


@pytest.mark.parametrize("options", ["rw,localflock", "rw,nolock", "rw,local_lock=all"])
def test_locks_that_only_this_machine_sees_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.setattr(locks, "_mount_options", lambda folder: {*options.split(",")})
    assert not has_flock(tmp_path)


def test_another_error_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), holding(tmp_path / "none" / "lock", patience(0)):
        pass


def test_a_holder_on_another_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_flock(monkeypatch)
    path = tmp_path / "lock"
    lease = lease_of_another_host(path)
    assert is_held(path)
    with holding(path, patience(0)) as held:
        assert held is None
    now = time.time()
    os.utime(lease, (now - 20, now - 20))
    holder = holder_of(path)
    assert holder and holder.words == f"process {os.getpid()} on node7, seen 20 s ago"


def test_a_silent_holder_on_another_host_is_watched_and_then_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_flock(monkeypatch)
    monkeypatch.setattr(locks, "LIMIT_S", 0.3)
    monkeypatch.setattr(locks._Lease, "poll_s", 0.05)
    lease, hour = lease_of_another_host(tmp_path / "lock"), 3600
    os.utime(lease, (time.time() - hour, time.time() - hour))
    assert not is_held(tmp_path / "lock")
    began = time.monotonic()
    with holding(tmp_path / "lock", patience(0)) as held:
        assert held is not None
    assert time.monotonic() - began > 0.3


def test_who_touches_a_lease_is_not_replaced_whatever_the_clocks_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_flock(monkeypatch)
    path, hour = tmp_path / "lock", 3600
    lease_of_another_host(path)
    for ahead in (hour, -hour):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: time.time_ns() / 1e9 + ahead)
        assert is_held(path)
        holder = holder_of(path)
        assert holder and holder.age_s < 30
        with holding(path, patience(0)) as held:
            assert held is None


def test_who_was_suspended_learns_that_he_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_flock(monkeypatch)
    monkeypatch.setattr(locks, "BEAT_S", 0.05)
    path = tmp_path / "lock"
    with holding(path, patience(0)) as held:
        assert held is not None and not held.is_lost
        (tmp_path / "lock.lease").unlink()
        with holding(path, patience(0)) as successor:
            assert successor is not None
            deadline = time.monotonic() + 20
            while not held.is_lost and time.monotonic() < deadline:
                time.sleep(0.02)
            assert held.is_lost and not successor.is_lost
