"""A sweep's folder under the home: its spec, its state, its lock and the wish to stop it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from services.settings import Settings
from services.spec import LoadedSpec, parse_spec
from trainers.atomic import write_atomically
from trainers.errors import UserError, nearest

RUNNING, STOPPED, FINISHED, BROKEN, INTERRUPTED = "running", "stopped", "finished", "failed", "interrupted"


@dataclass
class SweepState:
    """How a sweep stands.

    Attributes:
        state: running, stopped, finished or failed; `reason` says more of the last.
        spent_s: wall time of its searching so far, kept up to date by the driver.
        started: when it first began, in seconds since 1970.
        pid: the driver's process.
        volumes: version of the volume store that it is about.
    """

    state: str = RUNNING
    spent_s: float = 0.0
    started: float = 0.0
    pid: int = 0
    reason: str = ""
    volumes: str = ""


class SweepFolder:
    """Everything the driver keeps of one sweep beside its checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.final = path / "final.json"
        self._stop = path / "stop"

    @property
    def sweep_id(self) -> str:
        """The sweep's id."""
        return self.path.name

    @classmethod
    def create(cls, settings: Settings, loaded: LoadedSpec) -> "SweepFolder":
        """The folder of a spec's sweep, made on first use; what says where or how long is brought up to date."""
        folder = cls(settings.sweeps / loaded.spec.sweep_id)
        origin = {"path": str(loaded.path.absolute()), "base": str(loaded.base)}
        write_atomically(folder.path / "origin.json", json.dumps(origin).encode())
        write_atomically(folder.path / "spec.yaml", loaded.spec.to_yaml().encode())  # last: it makes the sweep known
        return folder

    @classmethod
    def find(cls, settings: Settings, sweep_id: str) -> "SweepFolder":
        """An existing sweep, by its id or the beginning of it. Raises UserError where none or several match."""
        known = sorted(path.parent.name for path in settings.sweeps.glob("*/spec.yaml"))
        matches = [name for name in known if name == sweep_id] or [name for name in known if name.startswith(sweep_id)]
        if len(matches) == 1:
            return cls(settings.sweeps / matches[0])
        if matches:
            raise UserError(f"sweep '{sweep_id}' could be any of {', '.join(matches)}; say more of it")
        hint = nearest(sweep_id, known) if known else "there is none yet; `contrasweep run SPEC` starts one"
        raise UserError(f"no sweep '{sweep_id}' in {settings.home}; {hint}")

    @classmethod
    def every(cls, settings: Settings) -> "list[SweepFolder]":
        """All sweeps, the oldest first."""
        folders = [cls(path.parent) for path in settings.sweeps.glob("*/spec.yaml")]
        return sorted(folders, key=lambda folder: (folder.read_state().started, folder.sweep_id))

    def load(self) -> LoadedSpec:
        """The sweep's spec, with paths relative to where it was first given."""
        origin = json.loads((self.path / "origin.json").read_text())
        stored = self.path / "spec.yaml"
        return LoadedSpec(parse_spec(stored.read_text(), str(stored)), Path(origin["path"]), Path(origin["base"]))

    def read_state(self) -> SweepState:
        """The state; `interrupted` where it says running but no driver holds the lock."""
        path = self.path / "state.json"
        state = SweepState(**json.loads(path.read_text())) if path.exists() else SweepState(state=STOPPED)
        if state.state == RUNNING and not self._is_locked():
            state.state = INTERRUPTED
        return state

    def write_state(self, state: SweepState) -> None:
        """Keep the state."""
        write_atomically(self.path / "state.json", json.dumps(asdict(state), indent=1).encode())

    @contextmanager
    def driving(self) -> Iterator[SweepState]:
        """Hold the sweep while driving it, alone: the lock goes with the process, however it ends.

        Yields the state, which is written back at the end.
        Raises UserError where another process drives the sweep.
        """
        with (self.path / "lock").open("a") as lock:
            if not _lock(lock, patience_s=1.0):
                raise UserError(f"sweep {self.sweep_id} is already running, in process {self.read_state().pid}")
            self._stop.unlink(missing_ok=True)
            state = self.read_state()
            state.state, state.started, state.pid, state.reason = RUNNING, state.started or time.time(), os.getpid(), ""
            self.write_state(state)
            try:
                yield state
            except KeyboardInterrupt:
                state.state = STOPPED
                raise
            except BaseException as error:
                state.state, state.reason = BROKEN, f"{type(error).__name__}: {error}"
                raise
            finally:
                self.write_state(state)

    def ask_to_stop(self) -> None:
        """Leave word for the driver to stop cleanly."""
        self._stop.touch()

    def is_asked_to_stop(self) -> bool:
        """Whether somebody left word."""
        return self._stop.exists()

    def _is_locked(self) -> bool:
        path = self.path / "lock"
        if not path.exists():
            return False
        with path.open("a") as lock:
            return not _lock(lock, patience_s=0.0)


def _lock(file: IO[str], patience_s: float) -> bool:
    """Lock an open file until it is closed, or say that another process has it; a look at it takes a moment."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True
