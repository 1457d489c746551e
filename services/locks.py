"""Locks between processes, also of several machines with one file system, that go with their holder however it ends.

Where the file system has `flock`, and all who share it see that, it is `flock`. Elsewhere (Lustre without `flock`, NFS
without a lock server, or mounted so that locks are this machine's alone) it is a lease of `filelock`: a file beside the
lock, made atomically, with host, process id, boot id and start of the process, which its holder touches every BEAT_S
seconds. A holder that is gone from this host is replaced at once. One on another host, or that was suspended, is once
its file was watched for LIMIT_S seconds without a touch, so that no two clocks are compared. How old a touch is, is
told by the clock of the file system alone.
"""

import errno
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import psutil
from filelock import SoftFileLease, Timeout

BEAT_S, LIMIT_S = 5.0, 60.0

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a file system says that has none."""

_ALONE = {"localflock", "nolock", "local_lock=all", "local_lock=flock"}
"""Options of Lustre and NFS mounts whose locks other machines do not see."""

_known: dict[int, bool] = {}

log = logging.getLogger("contrasweep.locks")


class Hold(Protocol):
    """A lock that this process holds, until somebody takes it over, as may happen to a lease."""

    @property
    def is_lost(self) -> bool:
        """Whether it was taken over."""
        ...


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, and how long ago he touched it."""

    host: str
    pid: int
    age_s: float

    @property
    def is_silent(self) -> bool:
        """Whether he has not touched it for longer than he may."""
        return self.age_s > LIMIT_S

    @property
    def words(self) -> str:
        """Where he is.

        >>> Holder("node7", 4711, 12.3).words
        'process 4711 on node7, seen 12 s ago'
        """
        return f"process {self.pid} on {self.host}, seen {self.age_s:.0f} s ago"


@contextmanager
def holding(path: Path, wait: Callable[[], bool], poll_s: float = 0.05) -> Iterator[Hold | None]:
    """Hold the lock at `path` for as long as the block; None where another has it and `wait`, at some look, says no.

    Where the holder of a lease is silent, it is waited until it is known whether he is gone. Raises OSError where there
    cannot be a file.
    """
    lock: _Flock | _Lease = _Flock(path) if has_flock(path.parent) else _Lease(path)
    try:
        while not (taken := lock.take()) and (lock.is_silent or wait()):
            time.sleep(max(poll_s, lock.poll_s))
        yield lock if taken else None
    finally:
        lock.release()


def patience(seconds: float) -> Callable[[], bool]:
    """A `wait` of `holding`: so long from now on."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() < deadline


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock at `path`; looking needs no right to write."""
    if not has_flock(path.parent):
        return _Lease(path).is_held()
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        return error.errno in NO_LOCKS and _Lease(path).is_held()
    return False


def holder_of(path: Path) -> Holder | None:
    """Who holds the lease at `path`; None where it is `flock`, which does not say, or nobody holds it."""
    return None if has_flock(path.parent) else _Lease(path).holder()


def has_flock(folder: Path) -> bool:
    """Which of both kinds a folder needs: whether `flock` works in it, for all machines; tried once a file system."""
    if not os.access(folder, os.W_OK):  # nobody on this machine can lock anything here
        return True
    device = folder.stat().st_dev
    if device not in _known:
        _known[device] = not _ALONE & _mount_options(folder) and can_lock(fcntl.flock, folder)
    return _known[device]


def can_lock(lock: Callable[[IO[bytes], int], object], folder: Path) -> bool:
    """Whether the file system of a folder has `fcntl.flock`, or `fcntl.lockf`."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".lock-") as file:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS
    return True


def _mount_options(folder: Path) -> set[str]:
    real = folder.resolve()
    above = [part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)]
    return set(max(above, key=lambda part: len(part.mountpoint)).opts.split(",")) if above else set()


class _Flock:
    poll_s, is_silent, is_lost = 0.0, False, False

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        self._file.close()


class _Lease:
    poll_s = 0.5

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lease")
        self._lease = SoftFileLease(
            self._path, lease_duration=LIMIT_S, heartbeat_interval=min(BEAT_S, LIMIT_S / 3), thread_local=False
        )
        self._warned = False

    @property
    def is_lost(self) -> bool:
        return self._lease.compromise is not None

    @property
    def is_silent(self) -> bool:
        holder = self.holder()
        silent = holder is not None and holder.is_silent
        if holder and silent and not self._warned:
            log.warning("%s: waiting %.0f s for a sign of %s", self._path, LIMIT_S, holder.words)
            self._warned = True
        return silent

    def take(self) -> bool:
        try:
            self._lease.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lease.release()

    def is_held(self) -> bool:
        """Whether there is a holder that is not gone."""
        try:
            free = not self._path.exists() or self.take()
        except OSError:  # read-only
            return True
        self.release()
        holder = None if free else self.holder()
        return holder is not None and not holder.is_silent

    def holder(self) -> Holder | None:
        """Who holds it."""
        owner = self._lease.owner
        if owner is None:
            return None
        host = owner.hostname.partition("?")[0]  # filelock names a container by more than its host
        try:
            return Holder(host, owner.pid, _age_s(self._path))
        except FileNotFoundError:
            return None


def _age_s(path: Path) -> float:
    """How long ago a file was touched, by the clock of its file system; none where that is full or read-only."""
    with path.open() as file:
        touched = os.fstat(file.fileno()).st_mtime
    try:
        with tempfile.TemporaryFile(dir=path.parent, prefix=".clock-") as now:
            return max(0.0, os.fstat(now.fileno()).st_mtime - touched)
    except OSError:
        return 0.0
