"""A sweep's folder under the home: its spec, its state, its lock and the wish to stop it."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict

from contrasweep.services.locks import Hold, holder_of, holding, is_held, patience
from contrasweep.services.records.answers import State, Sweep, fields_of
from contrasweep.services.records.files import read_json
from contrasweep.services.records.final_report import is_report
from contrasweep.services.records.hindrances import hindrance
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, kept_spec
from contrasweep.services.text import without_secrets
from contrasweep.trainers.atomic import replacing, write_atomically
from contrasweep.trainers.errors import Damaged, UserError, nearest

RUNNING: Final = "running"
STOPPED: Final = "stopped"
FINISHED: Final = "finished"
BROKEN: Final = "failed"
INTERRUPTED: Final = "interrupted"
RESERVE: Final = 64 * 1024
"""Bytes on disk that a driver keeps, to say at its end why it stopped where no others are left; none to compress."""
_STATE, _STATE_BEFORE, _ORIGIN = "state.json", "state-before.json", "origin.json"


class SweepState(Sweep):
    """How a sweep stands as its folder keeps it, beside what only its driver needs; listing reads nothing else.

    `started`, `spent_s`, counts and figures are kept up to date by the driver.

    Attributes:
        pid, host: the driver's process, and the machine that it runs on.
        volumes: version of the volume store that it is about, or of several, where options have their own, with blanks
            between them.
        training: digest of the ids that it trains on.
        gpus: how many its configurations hold at once.
    """

    model_config = ConfigDict(frozen=False, extra="ignore")

    pid: int = 0
    host: str = ""
    volumes: str = ""
    training: str = ""
    gpus: float = 0.0

    def to_json(self) -> str:
        """The state as text, for `from_json`."""
        return self.model_dump_json(indent=1, exclude={"id", "name", "final", "position", "submitted", "searches"})

    @classmethod
    def from_json(cls, sweep_id: str, text: str) -> "SweepState":
        """The state written by this version of the program or another: what either does not know is left out."""
        return cls.model_validate({**json.loads(text), "id": sweep_id})

    def spend(self, spent_s: float) -> None:
        """Keep the time: searching has come to `spent_s`, with the GPUs that are held now."""
        self.gpu_hours += (spent_s - self.spent_s) / 3600 * self.gpus
        self.spent_s = spent_s

    def take(self, changes: Mapping[str, Any]) -> None:
        """Take on new values of fields."""
        for name, value in changes.items():
            setattr(self, name, value)

    def end_with(self, error: BaseException, where: Path | None = None) -> None:
        """Stopped where somebody interrupted the driver or storage has it wait, failed of anything else."""
        if isinstance(error, KeyboardInterrupt):
            self.state = STOPPED
        elif reason := hindrance(error, where):
            self.state, self.reason = STOPPED, reason
        else:
            self.state, self.reason = BROKEN, _reason(error)

    def told(self) -> Sweep:
        """What the verbs answer of it."""
        return Sweep(**fields_of(Sweep, self))


class SweepFolder:
    """Everything the driver keeps of one sweep beside its checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.final = path / "final.json"
        self.log = path / "log.txt"
        self._stop = path / "stop"
        self._lock, self._reserve = path / "lock", path / ".reserve"
        self._hold: Hold | None = None

    @property
    def sweep_id(self) -> str:
        """The sweep's id."""
        return self.path.name

    @classmethod
    def create(cls, settings: Settings, loaded: LoadedSpec) -> "SweepFolder":
        """The folder of a spec's sweep, made on first use."""
        folder = cls(settings.sweeps / loaded.sweep_id)
        if not folder.is_known:
            folder.keep(loaded)
        return folder

    @property
    def is_known(self) -> bool:
        """Whether there is such a sweep."""
        return (self.path / "spec.yaml").exists()

    def keep(self, loaded: LoadedSpec) -> None:
        """Keep the spec, with all that may change of it - where, how long and how far - and where it came from."""
        origin = {"path": str(loaded.path.absolute()), "base": str(loaded.base)}
        write_atomically(self.path / _ORIGIN, json.dumps(origin).encode())
        write_atomically(self.path / "spec.yaml", loaded.spec.to_yaml().encode())  # last: it makes the sweep known

    def has_done(self, loaded: LoadedSpec) -> bool:
        """Whether it is over, as far as `loaded`, a spec of this sweep, asks and gives it time: finished, with a final
        figure that can be read, or stopped by its budget before there was anything to evaluate.
        """
        state, before = self.read_state(), self.kept()
        if before is None or loaded.spec.goes_beyond(before):
            return False
        if state.unfinished and loaded.spec.extent.outlasts(before.extent):
            return False
        has_final = is_report(self.final)
        return (
            has_final if state.state == FINISHED else state.state == STOPPED and state.unfinished > 0 and not has_final
        )

    @classmethod
    def find(cls, settings: Settings, sweep_id: str) -> "SweepFolder":
        """An existing sweep, by its id or the beginning of it, or, by `ID.0`, its search in an outer fold.

        Raises UserError where none or several match.
        """
        beginning, number = outer_fold_in(sweep_id)
        whole = cls.find_whole(settings, beginning)
        if not number:
            return whole
        known = {folder.sweep_id: folder for folder in whole.searches}
        wanted = f"{whole.sweep_id}.{number}"
        if wanted not in known:
            raise UserError(f"no outer fold '{wanted}'; {nearest(wanted, known) if known else 'none has begun'}")
        return known[wanted]

    @classmethod
    def find_whole(cls, settings: Settings, sweep_id: str) -> "SweepFolder":
        """As `find`, of whole sweeps alone: what is to run or stop is never one outer fold by itself."""
        known = sorted(path.parent.name for path in settings.sweeps.glob("*/spec.yaml"))
        matches = [name for name in known if name == sweep_id] or [name for name in known if name.startswith(sweep_id)]
        if not matches and (whole := sweep_id.partition(".")[0]) in known:
            raise UserError(f"{sweep_id} is an outer fold; ask this of the whole sweep: {whole}")
        if len(matches) == 1:
            return cls(settings.sweeps / matches[0])
        if matches:
            raise UserError(f"sweep '{sweep_id}' could be any of {', '.join(matches)}; say more of it")
        hint = nearest(sweep_id, known) if known else "there is none yet; `contrasweep run SPEC` starts one"
        raise UserError(f"no sweep '{sweep_id}' in {settings.home}; {hint}")

    @classmethod
    def every(cls, settings: Settings) -> "list[SweepFolder]":
        """All sweeps, in the order of their ids."""
        return [cls(path.parent) for path in sorted(settings.sweeps.glob("*/spec.yaml"))]

    @property
    def searches(self) -> "list[OuterFolder]":
        """The searches in outer folds that have begun, in their order; none in a sweep that has no outer folds."""
        numbers = (int(path.parent.suffix[1:]) for path in self.path.glob(f"{self.sweep_id}.*/spec.yaml"))
        return [OuterFolder(self, number) for number in sorted(numbers)]

    def load(self) -> LoadedSpec:
        """The sweep's spec, with paths relative to where it was first given.

        Raises UserError where that is damaged; `contrasweep run` with the study's own file mends it.
        """
        stored = self.path / "spec.yaml"
        spec = kept_spec(stored.read_bytes(), str(stored))
        origin = read_json(self.path / _ORIGIN, "path", "base")
        if origin is None:
            raise Damaged(self.path / _ORIGIN, "`contrasweep run SPEC`, with the study's own file, writes it anew")
        return LoadedSpec(spec, Path(origin["path"]), Path(origin["base"]), self.sweep_id)

    def kept(self) -> SweepSpec | None:
        """The sweep's spec alone; None where this version cannot read it."""
        try:
            return self.load().spec
        except (UserError, OSError):
            return None

    def hashes_to(self) -> str:
        """The id that this version gives the sweep's spec; empty where it cannot read it."""
        spec = self.kept()
        return spec.sweep_id if spec else ""

    def read_state(self) -> SweepState:
        """The state; `interrupted` where it says running but no driver holds the lock.

        Where it is damaged it is the one before it, of some seconds ago; without either, what else is there tells.
        """
        state = self._stored(_STATE) or self._stored(_STATE_BEFORE) or self._unknown()
        if state.state == RUNNING and not is_held(self._lock):
            state.state = INTERRUPTED
        return state

    def _stored(self, name: str) -> SweepState | None:
        try:
            return SweepState.from_json(self.sweep_id, (self.path / name).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _unknown(self) -> SweepState:
        return SweepState(id=self.sweep_id, state=FINISHED if is_report(self.final) else STOPPED)

    def write_state(self, state: SweepState) -> None:
        """Keep the state, and the one before it, unless somebody else has taken the sweep over."""
        if not self._is_lost:
            with replacing(self.path / _STATE, self.path / _STATE_BEFORE) as file:
                file.write(state.to_json().encode())

    @contextmanager
    def driving(self, user: str = "", attempt: int | None = None) -> Iterator[SweepState]:
        """Hold the sweep while driving it, alone: the lock goes with the process, however it ends.

        `user` is who submitted it, `attempt` which driver this is: one more than the last, if not said.
        Yields the state, which is written back at the end. Where storage has the sweep wait it is stopped, with the
        reason, and the block ends well.
        Raises UserError where another process drives the sweep, or took it over from this one.
        """
        with self._holding(patience_s=1.0):
            state = self.read_state()
            write_atomically(self._reserve, os.urandom(RESERVE))
            state.state, state.reason, state.started = RUNNING, "", state.started or time.time()
            state.pid, state.host = os.getpid(), socket.gethostname()
            state.user, state.attempt = user or state.user, state.attempt + 1 if attempt is None else attempt
            self.write_state(state)
            try:
                yield state
            except BaseException as error:
                state.end_with(error, self.path)
                if not hindrance(error):
                    raise
            finally:
                self._end(state)

    def _end(self, state: SweepState) -> None:
        """Write the state for the last time, into what was kept free for that; a read-only folder stays as it is.

        Raises UserError where the sweep is somebody else's by now.
        """
        if self._is_lost:
            raise UserError(f"sweep {self.sweep_id} was taken over while this machine slept or hung: {self._driver}")
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)
        try:
            self.write_state(state)
            self._stop.unlink(missing_ok=True)
        except OSError as error:
            if not hindrance(error):
                raise

    @property
    def _is_lost(self) -> bool:
        return self._hold is not None and self._hold.is_lost

    @property
    def _driver(self) -> str:
        """Where it is driven."""
        if holder := holder_of(self._lock):
            return holder.words
        state = self.read_state()
        return f"process {state.pid} on {state.host}"

    def ask_to_stop(self, attempt: int) -> None:
        """Leave word for driver number `attempt` to stop cleanly; it may come before that driver does."""
        write_atomically(self._stop, str(attempt).encode())

    def is_asked_to_stop(self, attempt: int) -> bool:
        """Whether somebody left word for driver number `attempt`, or took the sweep over from it."""
        if self._is_lost:
            return True
        try:
            return self._stop.read_text() == str(attempt)
        except FileNotFoundError:
            return False

    def settle(self, state: State, reason: str) -> None:
        """Say how the sweep stands after its driver was killed. Raises UserError where another one drives already."""
        with self._holding(patience_s=10.0):
            settled = self.read_state()
            settled.state, settled.reason = state, reason
            self.write_state(settled)
            self._stop.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[SweepState]:
        """Keep a sweep that does not run from running for as long as the block; yields the state, which is kept then.

        Raises UserError where a driver has it.
        """
        with self._holding(patience_s=1.0):
            state = self.read_state()
            if state.state == RUNNING:  # as it is told while somebody, here this process, holds the lock
                state.state = INTERRUPTED
            yield state
            self.write_state(state)

    @contextmanager
    def _holding(self, patience_s: float) -> Iterator[None]:
        with holding(self._lock, patience(patience_s)) as self._hold:
            if self._hold is None:
                raise UserError(f"sweep {self.sweep_id} is already running, in {self._driver}")
            yield


class OuterFolder(SweepFolder):
    """The folder of the search in outer fold `number`, inside that of its sweep, who alone is asked to stop.

    `told` is told of each state that is written.
    """

    def __init__(
        self, whole: SweepFolder, number: int, told: Callable[[int, SweepState], None] = lambda number, state: None
    ) -> None:
        super().__init__(whole.path / f"{whole.sweep_id}.{number}")
        self.number = number
        self._whole, self._told = whole, told

    def write_state(self, state: SweepState) -> None:
        """Keep the state."""
        super().write_state(state)
        self._told(self.number, state)

    def is_asked_to_stop(self, attempt: int) -> bool:
        """Whether somebody left word for driver number `attempt` of the sweep."""
        return self._whole.is_asked_to_stop(attempt)


def outer_fold_in(sweep_id: str) -> tuple[str, str]:
    """The sweep and the number that `ID.0` names; the id as it is, and no number, where it is none of an outer fold.

    >>> outer_fold_in("study-1ae1c11b.2"), outer_fold_in("../x")
    (('study-1ae1c11b', '2'), ('../x', ''))
    """
    found = re.fullmatch(r"([^.]+)\.(\d+)", sweep_id)
    return (found[1], found[2]) if found else (sweep_id, "")


def recognised(loaded: LoadedSpec, settings: Settings) -> LoadedSpec:
    """The spec under the id of the sweep that it is, going at least as far as that has been asked to."""
    sweep_id = loaded.known_as or known_id(loaded.spec.sweep_id, settings)
    folder = SweepFolder(settings.sweeps / sweep_id)
    before = folder.kept() if folder.is_known else None
    spec = loaded.spec.going_on_from(before) if before else loaded.spec
    return replace(loaded, spec=spec, known_as=sweep_id)


def known_id(sweep_id: str, settings: Settings) -> str:
    """The id under which the sweep that is called `sweep_id` by this version is known here.

    Its folder keeps the id that another version gave it, or that it had before a space was added: what counts is what
    its spec hashes to now. Of several the one that is finished is meant, or else the last that began.
    """
    if SweepFolder(settings.sweeps / sweep_id).is_known:
        return sweep_id
    folders = [SweepFolder(path.parent) for path in settings.sweeps.glob(f"{sweep_id.rpartition('-')[0]}-*/spec.yaml")]
    same = [folder for folder in folders if folder.hashes_to() == sweep_id]
    states = {folder.sweep_id: folder.read_state() for folder in same}
    return max(states, key=lambda name: (states[name].state == FINISHED, states[name].started), default=sweep_id)


def _reason(error: BaseException) -> str:
    text = without_secrets(" ".join(str(error).split()))
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
