"""The sweeps of the service: the verbs, for users who have their own."""

import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from contrasweep.services.records.answers import ACTIVE, Comparison, Planned, Submitted, Sweep, Trial, asked_by
from contrasweep.services.records.folder import SweepFolder, outer_fold_in, recognised
from contrasweep.services.service.bounds import check_most
from contrasweep.services.service.ledger import Entry, Ledger
from contrasweep.services.service.loop import Cluster, Loop
from contrasweep.services.service.queue import Observed, line, reasons
from contrasweep.services.service.refusals import Conflict, Forbidden, Missing, Unavailable
from contrasweep.services.service.shown import shown
from contrasweep.services.service.tokens import Identity
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.roots import without_folders
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.stores.optuna import open_storage
from contrasweep.services.verbs.local import Local, describe, details, trial_log_path
from contrasweep.trainers.errors import UserError

LISTED_S = 0.25
"""How long an answer about all sweeps stands, so that many who look at once cost as much as one."""
LONGEST_ID = 72

log = logging.getLogger("contrasweep.service")


class Planner(Cluster, Protocol):
    """A cluster that also plans, and delivers to its MLflow."""

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What a sweep would take there."""
        ...

    def sync(self, sweep_id: str) -> Sweep:
        """Tell MLflow all of a sweep that does not run; how it stands."""
        ...


class Service:
    """Submits, shows and stops sweeps of many users on one cluster.

    Reading is from memory: what the loop saw at its last look. Methods raise Missing, Forbidden, Conflict or
    Unavailable, in one line that names no folder of this machine. Ids may be the beginning of one.
    """

    def __init__(self, settings: Settings, cluster: Planner) -> None:
        self._settings, self._cluster = settings, cluster
        self._ledger = Ledger(lambda: open_storage(settings))
        self._local = Local(settings)
        self.loop = Loop(settings, self._ledger, cluster)
        self.submissions = 0
        self._listed: tuple[float, dict[str, Sweep]] = (0.0, {})
        self._listing = threading.Lock()
        folders = _folders(settings)
        self._hide: Callable[[str], str] = lambda text: without_folders(text, folders)

    def submit(self, caller: Identity, loaded: LoadedSpec) -> Submitted:
        """Have a sweep run, or go on; one spec runs once however often it is submitted."""
        with self.loop.lock:
            self.submissions += 1
            loaded = self._recognised(loaded)
            if loaded.sweep_id in self.loop.observed.folders or self._ledger.get(loaded.sweep_id):
                known = self._show(loaded.sweep_id)
                further = None if known.reaches(loaded.spec.extent) else loaded
                return self._go_on(caller, known, lambda: self._entry(caller, loaded, known), further)
            entry = self._entry(caller, loaded, None)
            self._ledger.create(entry)
            log.info("sweep %s: submitted by %s", entry.id, caller.user)
            return self._begun(entry.id, "submitted")

    def _recognised(self, loaded: LoadedSpec) -> LoadedSpec:
        """The spec under the id of the sweep that it is, whichever version of the program gave that."""
        if loaded.known_as:
            return recognised(loaded, self._settings)
        same = [entry.id for entry in self._ledger.entries().values() if entry.is_of(loaded.spec)]
        return replace(loaded, known_as=same[-1]) if same else recognised(loaded, self._settings)

    def resume(self, caller: Identity, sweep_id: str) -> Submitted:
        """Go on with a sweep that was stopped, failed or was interrupted."""
        with self.loop.lock:
            sweep = self._whole(sweep_id)
            self._refuse_others(caller, sweep)
            return self._go_on(caller, sweep, lambda: self._by_hand(caller, sweep))

    def extend(self, caller: Identity, sweep_id: str, more: More) -> Submitted:
        """Go on with a sweep, a finished one, too, to more trials, seeds, finalists or spaces."""
        with self.loop.lock:
            return self.submit(caller, self.extended(caller, sweep_id, more))

    def extended(self, caller: Identity, sweep_id: str, more: More) -> LoadedSpec:
        """The spec that `extend` has run."""
        sweep = self._whole(sweep_id)
        self._refuse_others(caller, sweep)
        loaded = extended(self._loaded(sweep.id), more)
        check_most(loaded.spec)
        return loaded

    def _loaded(self, sweep_id: str) -> LoadedSpec:
        """The spec of a sweep as it was last asked for."""
        if entry := self._ledger.get(sweep_id):
            return entry.load()
        try:
            return self._folder(sweep_id).load()
        except OSError as error:
            raise Unavailable(f"sweep {sweep_id}: its folder cannot be read") from error

    def stop(self, caller: Identity, sweep_id: str, now: bool = False) -> Sweep:
        """Stop after the epochs under way, or, with `now`, at once; a waiting sweep leaves the queue."""
        with self.loop.lock:
            sweep = self._whole(sweep_id)
            self._refuse_others(caller, sweep)
            if sweep.state not in ACTIVE:
                raise Conflict(f"sweep {sweep.id} is not running; it is {sweep.state}")
            entry = self._ledger.get(sweep.id) or self._kept(self._by_hand(caller, sweep, phase="out"))
            change: dict[str, object] = {"wish": "stop", "now": now or entry.now, "paused": False}
            if entry.phase == "waiting":
                change = {"wish": "stop", "phase": "over", "end": "stopped", "reason": ""}
            self._ledger.update(entry.model_copy(update=change))
            log.info("sweep %s: %s by %s", sweep.id, "killed" if now else "stopped", caller.user)
            return self._now(sweep.id)

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What the sweep would take, with nothing begun."""
        from contrasweep.services.verbs.ray_jobs import Refused

        try:
            return self._cluster.plan(loaded)
        except Refused:
            raise
        except UserError as error:
            log.warning("plan: %s", error)
            raise Unavailable("the cluster cannot plan now; try again later") from error

    def sync(self, caller: Identity, sweep_id: str) -> Sweep:
        """Tell MLflow all of a sweep that does not run, from what is on disk; how it stands."""
        from contrasweep.services.verbs.ray_jobs import Refused

        sweep = self._whole(sweep_id)
        self._refuse_others(caller, sweep)
        if sweep.state in ACTIVE:
            raise Conflict(f"sweep {sweep.id} is {sweep.state}; MLflow is told as it runs")
        try:
            told = self._cluster.sync(sweep.id)
        except Refused:
            raise
        except UserError as error:
            log.warning("sync: %s", error)
            raise Unavailable("the cluster cannot deliver now; try again later") from error
        log.info("sweep %s: delivered by %s", sweep.id, caller.user)
        return self._now(sweep.id).model_copy(update={"undelivered": told.undelivered})

    def sweeps(self) -> list[Sweep]:
        """All sweeps, the oldest first."""
        return sorted(self._shown().values(), key=lambda sweep: (sweep.submitted or sweep.started, sweep.id))

    def status(self, sweep_id: str) -> Sweep:
        """How a sweep stands, or, by `ID.0`, its search in an outer fold."""
        beginning, number = outer_fold_in(sweep_id)
        sweep = self._show(_found(beginning, {*self.loop.observed.folders, *self._ledger.entries()}))
        if not number:
            return sweep
        search = describe(self._folder(f"{sweep.id}.{number}"))
        return search.model_copy(update={"reason": self._hide(search.reason)})

    def _whole(self, sweep_id: str) -> Sweep:
        """How a sweep stands. Raises Conflict for an outer fold, which neither runs nor stops by itself."""
        sweep = self.status(sweep_id)
        if "." in sweep.id:
            raise Conflict(f"{sweep.id} is an outer fold; ask this of the whole sweep: {sweep.id.partition('.')[0]}")
        return sweep

    def with_details(self, sweep: Sweep) -> Sweep:
        """The same with its final figure, where there is one, and how its searches in outer folds stand."""
        return sweep.model_copy(update=details(self._folder(sweep.id)))

    def trials(self, sweep_id: str) -> list[Trial]:
        """A sweep's configurations, the best first; none before it has begun."""
        sweep = self.status(sweep_id)
        if not self._has_folder(sweep.id):
            return []
        found = self._local.trials(sweep.id)
        return [trial.model_copy(update={"reason": self._hide(trial.reason)}) for trial in found]

    def compare(self, sweep_ids: Sequence[str]) -> Comparison:
        """Several sweeps side by side, each against the first. Raises Missing for one that has not begun."""
        sweeps = [self.status(sweep_id) for sweep_id in sweep_ids]
        for sweep in sweeps:
            if not self._has_folder(sweep.id):
                raise Missing(f"sweep {sweep.id} has not begun; it is {sweep.state}")
        found = self._local.compare([sweep.id for sweep in sweeps])
        stand = zip(found.sweeps, map(self.with_details, sweeps), strict=True)
        return found.model_copy(update={"sweeps": [one.model_copy(update={"sweep": sweep}) for one, sweep in stand]})

    def report(self, sweep_id: str) -> str:
        """The sweep's HTML report: the page that its driver keeps, or one that is made now where none does.

        A driver that was killed left a page of before; of outer folds it keeps pages of their own up to date.
        """
        sweep = self.status(sweep_id)
        if sweep.state == "finished" or (sweep.state in ACTIVE and not sweep.outer):
            with suppress(FileNotFoundError):
                return (self._settings.reports / f"{sweep.id}.html").read_text(encoding="utf-8")
        if not self._has_folder(sweep.id):
            raise Missing(f"sweep {sweep.id} has no report yet; it is {sweep.state}")
        return self._local.report(sweep.id)

    def log(self, sweep_id: str, trial: int | None, follow: bool) -> Path:
        """Where a log is, or, to `follow` it, where it will be."""
        sweep = self.status(sweep_id)
        if trial is None:
            return self._folder(sweep.id).log
        path = trial_log_path(self._settings, sweep.id, trial)
        if not path.exists() and not (follow and sweep.state in ACTIVE):
            raise Missing(f"trial {trial} of sweep {sweep.id} has no log yet")
        return path

    def is_active(self, sweep_id: str) -> bool:
        """Whether more may come of a sweep, by its whole id."""
        return self.status(sweep_id).state in ACTIVE

    def hidden(self, text: str) -> str:
        """`text` without this machine's folders."""
        return self._hide(text)

    def entries(self) -> list[Entry]:
        """What the ledger has; nothing before it could be read."""
        return list(self._ledger.entries().values()) if self._ledger.is_loaded else []

    def known(self) -> list[Sweep]:
        """All sweeps in no order; nothing before the ledger could be read."""
        return list(self._shown().values()) if self._ledger.is_loaded else []

    def _go_on(
        self, caller: Identity, sweep: Sweep, adopted: Callable[[], Entry], further: LoadedSpec | None = None
    ) -> Submitted:
        """Have a sweep that is known run again, unless it runs or is done; `further`, where that is to be, than before.

        Raises Conflict where it runs and is to go further.
        """
        if sweep.state == "finished" and not further:
            return Submitted(outcome="done", sweep=sweep)
        if sweep.state == "queued" and not further:
            return Submitted(outcome="queued", sweep=sweep)
        if sweep.state in ("starting", "running"):
            if further:
                raise Conflict(f"sweep {sweep.id} is {sweep.state}; extend it once it has ended, or stop it first")
            return Submitted(outcome="already running", sweep=sweep)
        self._refuse_others(caller, sweep)
        entry = self._ledger.get(sweep.id)
        if entry and further:
            spec = further.spec.going_on_from(entry.load().spec)
            entry = entry.model_copy(update={"spec": spec.to_yaml(), **asked_by(spec)})
        if entry is None:
            self._ledger.create(adopted())
        elif sweep.state == "queued":
            self._ledger.update(entry)
            return Submitted(outcome="queued", sweep=self._now(sweep.id))
        elif sweep.state == "stopping":  # once it has stopped, it goes on
            self._ledger.update(entry.model_copy(update={"wish": "run", "paused": True}))
        else:
            rest = {"phase": "waiting", "wish": "run", "end": "", "reason": "", "restarts": 0, "now": False}
            seen = max(entry.attempt, self.loop.observed.attempt(entry.id))
            self._ledger.update(entry.model_copy(update={**rest, "queued": time.time(), "attempt": seen}))
        log.info("sweep %s: resumed by %s", sweep.id, caller.user)
        return self._begun(sweep.id, "resumed")

    def _begun(self, sweep_id: str, outcome: str) -> Submitted:
        sweep = self._now(sweep_id)
        waits = outcome == "submitted" and (sweep.reason or sweep.position > 1)
        return Submitted.model_validate({"outcome": "queued" if waits else outcome, "sweep": sweep})

    def _now(self, sweep_id: str) -> Sweep:
        """How a sweep stands after a change, which the loop is told of."""
        self._listed = (0.0, {})
        self.loop.wake()
        return self._show(sweep_id)

    def _shown(self) -> dict[str, Sweep]:
        """Every sweep by id, at most `LISTED_S` old."""
        with self._listing:
            made, known = self._listed
            if time.monotonic() - made > LISTED_S:
                known = self._look(())
                self._listed = (time.monotonic(), known)
            return known

    def _show(self, name: str) -> Sweep:
        return self._look((name,))[name]

    def _look(self, names: Collection[str]) -> dict[str, Sweep]:
        """Sweeps by id, all as they are at one moment; every one where none is named."""
        entries, observed = self._ledger.entries(), self.loop.observed
        seen = {
            name: shown(entries.get(name), observed.folders.get(name), observed)
            for name in names or {*observed.folders, *entries}
        }
        waits = any(sweep.state == "queued" for sweep in seen.values())
        places = self._places(list(entries.values()), observed) if waits else {}
        return {name: self._placed(sweep, *places.get(name, (0, ""))) for name, sweep in seen.items()}

    def _placed(self, sweep: Sweep, position: int, reason: str) -> Sweep:
        if not position and not sweep.reason:
            return sweep
        return sweep.model_copy(update={"position": position, "reason": reason or self._hide(sweep.reason)})

    def _places(self, entries: Sequence[Entry], observed: Observed) -> dict[str, tuple[int, str]]:
        """Place in line of each waiting sweep, and why it waits."""
        why = reasons(entries, observed, self.loop.quotas, time.time())
        return {entry.id: (place, why.get(entry.id, "")) for place, entry in enumerate(line(entries), start=1)}

    def _entry(self, caller: Identity, loaded: LoadedSpec, known: Sweep | None, phase: str = "waiting") -> Entry:
        spec, now = loaded.spec, time.time()
        return Entry.model_validate(
            {
                "id": loaded.sweep_id,
                "spec": spec.to_yaml(),
                "base": str(loaded.base),
                **asked_by(spec),
                "user": (known.user if known else "") or caller.user,
                "submitted": now,
                "queued": now,
                "phase": phase,
                "attempt": self.loop.observed.attempt(loaded.sweep_id),
                "used": ((0.0, known.gpu_hours),) if known and known.gpu_hours else (),
            }
        )

    def _by_hand(self, caller: Identity, sweep: Sweep, phase: str = "waiting") -> Entry:
        """The entry of a sweep that was never submitted here."""
        return self._entry(caller, self._loaded(sweep.id), sweep, phase)

    def _kept(self, entry: Entry) -> Entry:
        self._ledger.create(entry)
        return entry

    def _refuse_others(self, caller: Identity, sweep: Sweep) -> None:
        if sweep.user != caller.user and not caller.may("admin"):
            raise Forbidden(f"sweep {sweep.id} is not yours")

    def _folder(self, sweep_id: str) -> SweepFolder:
        """By a whole id. Raises Missing for an outer fold that is not there."""
        if "." not in sweep_id:
            return SweepFolder(self._settings.sweeps / sweep_id)
        try:
            return SweepFolder.find(self._settings, sweep_id)
        except UserError as error:
            raise Missing(str(error)) from error

    def _has_folder(self, sweep_id: str) -> bool:
        return self._folder(sweep_id).is_known


def _folders(settings: Settings) -> tuple[Path, ...]:
    """What no answer may name."""
    here = (settings.home, Path(settings.storage_path), *settings.data_roots)
    return *here, Path.home(), Path(sys.prefix), Path(__file__).resolve().parents[2], Path(tempfile.gettempdir())


def _found(sweep_id: str, known: set[str]) -> str:
    """The whole id that one, or the beginning of one, stands for."""
    if sweep_id in known:
        return sweep_id
    matches = sorted(name for name in known if name.startswith(sweep_id))
    if len(matches) == 1:
        return matches[0]
    asked = sweep_id if sweep_id.isprintable() and len(sweep_id) <= LONGEST_ID else ascii(sweep_id[:LONGEST_ID])
    if matches:
        raise Conflict(f"sweep '{asked}' could be any of {len(matches)}, such as {matches[0]}; say more of it")
    raise Missing(f"no sweep '{asked}'")
