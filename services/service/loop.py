"""The thread that looks, decides and acts, each second; whatever does not answer, it goes on."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from contrasweep.services.records.answers import Sweep
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.service.folders import Folders
from contrasweep.services.service.ledger import Entry, Ledger
from contrasweep.services.service.queue import Action, Keep, Kill, Observed, Quotas, RequestStop, Settle, Start, decide
from contrasweep.services.service.refusals import Unavailable
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    from contrasweep.services.verbs.ray_jobs import Job

TICK_S = 1.0
CHECK_S = 5.0
"""How often the storage is asked whether it still answers."""
PATIENCE_S = 10.0
"""How long nothing is started after a start that did not go well."""
STALE_S = 60.0

log = logging.getLogger("contrasweep.service")


class Cluster(Protocol):
    """What the loop needs of `services.verbs.ray_jobs`. Every method raises UserError while the cluster is away."""

    def jobs(self) -> "list[Job]":
        """Every sweep's jobs."""
        ...

    def start(self, loaded: LoadedSpec, user: str, attempt: int) -> bool:
        """Have an attempt run; False where it was there already."""
        ...

    def kill(self, sweep_id: str, attempt: int) -> None:
        """End a job at once."""
        ...


class Loop:
    """Brings what is together with what is wished, one look each second.

    `lock` is held while entries are read, changed and kept. `observed` is the last look and `missing` what did
    not answer at it, by name; `restarts` counts drivers that died.
    """

    def __init__(self, settings: Settings, ledger: Ledger, cluster: Cluster) -> None:
        self.lock = threading.RLock()
        self.quotas = Quotas(settings.max_running, settings.user_max_running, settings.user_gpu_hours)
        self.observed = Observed()
        self.missing: dict[str, str] = {"queue": "the queue has not begun to move"}
        self.last_success = 0.0
        self.restarts = 0
        self._sweeps, self._ledger, self._cluster = settings.sweeps, ledger, cluster
        self._folders = Folders(settings.sweeps)
        self._wake, self._ending = threading.Event(), threading.Event()
        self._next_check = self._next_start = self._last_tick = 0.0
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def begin(self) -> None:
        """Look for the first time, as far as the ledger goes, and start the thread."""
        self._check_ledger({})
        self._thread.start()

    def end(self) -> None:
        """End the thread, after what it is at."""
        self._ending.set()
        self._wake.set()
        self._thread.join(timeout=STALE_S)

    def wake(self) -> None:
        """Look now rather than at the next second."""
        self._wake.set()

    def complaints(self) -> list[str]:
        """What keeps the service from its work, one line each; none where all is well."""
        stale = time.monotonic() - self._last_tick > STALE_S
        return [*self.missing.values()] or (["the queue does not move"] if stale else [])

    def tick(self) -> None:
        """One look and what follows from it."""
        missing: dict[str, str] = {}
        jobs = self._look_at_jobs(missing)  # first: what a folder says of a job that has ended is then its last word
        folders = self._look_at_folders(missing)
        self._check_ledger(missing)
        self.observed = Observed(
            self.observed.folders if folders is None else folders, self.observed.jobs if jobs is None else jobs
        )
        if not missing:
            self._act(missing)
        if self.missing and not missing:
            log.info("all is well")
        self.missing = missing
        self._last_tick = time.monotonic()
        if not missing:
            self.last_success = time.time()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self.tick()
            except Exception:  # the thread must outlive any of our mistakes
                log.exception("the queue's look failed")
                self.missing = {"queue": "the queue failed; the service's log says why"}
            self._wake.wait(TICK_S)
            self._wake.clear()

    def _look_at_folders(self, missing: dict[str, str]) -> "dict[str, Sweep] | None":
        try:
            return self._folders.look()
        except (OSError, ValueError) as error:
            self._tell(missing, "folders", "the folders of the sweeps cannot be read", error)
            return None

    def _look_at_jobs(self, missing: dict[str, str]) -> "dict[str, Job] | None":
        try:
            return _latest(self._cluster.jobs())
        except UserError as error:
            self._tell(missing, "cluster", "the cluster does not answer", error)
            return None

    def _check_ledger(self, missing: dict[str, str]) -> None:
        if not self.missing and time.monotonic() < self._next_check:
            return
        try:
            self._ledger.check()
            self._next_check = time.monotonic() + CHECK_S
        except Unavailable as error:
            self._tell(missing, "store", str(error), error)

    def _tell(self, missing: dict[str, str], part: str, line: str, error: Exception) -> None:
        """Note that a part does not answer; its own words are for the log, once."""
        missing[part] = line
        if part not in self.missing:
            log.warning(line if str(error) == line else f"{line}: {one_line(error)}")

    def _act(self, missing: dict[str, str]) -> None:
        try:
            with self.lock:
                entries = self._ledger.entries()
                actions = decide(entries.values(), self.observed, self.quotas, time.time())
                for action in actions:
                    if isinstance(action, Keep):
                        self._keep(entries[action.entry.id], action.entry)
            for action in actions:
                self._try(action)
        except Unavailable as error:
            self._tell(missing, "store", str(error), error)
        except OSError as error:
            self._tell(missing, "folders", "the folders of the sweeps cannot be written", error)

    def _keep(self, old: Entry, new: Entry) -> None:
        self._ledger.update(new)
        self.restarts += new.restarts > old.restarts
        if (old.phase, old.end) != (new.phase, new.end):
            log.info("sweep %s: %s, attempt %d %s", new.id, new.end or new.phase, new.attempt, new.reason)

    def _try(self, action: Action) -> None:
        """Do one thing; what does not go well is tried again after the next look."""
        try:
            self._do(action)
        except Unavailable:
            raise
        except UserError as error:
            log.warning("%s: %s", type(action).__name__.lower(), error)

    def _do(self, action: Action) -> None:
        match action:
            case Start(entry):
                self._start(entry)
            case RequestStop(sweep_id, attempt):
                SweepFolder(self._sweeps / sweep_id).ask_to_stop(attempt)
            case Kill(sweep_id, attempt):
                self._cluster.kill(sweep_id, attempt)
            case Settle(sweep_id, state, reason):
                SweepFolder(self._sweeps / sweep_id).settle(state, reason)

    def _start(self, entry: Entry) -> None:
        """Hand an attempt over: kept as handed over first, so that it is never handed over twice."""
        if time.monotonic() < self._next_start:
            return
        with self.lock:
            current = self._ledger.entries()[entry.id]
            if current.phase != "waiting":  # stopped since the look
                return
            self._keep(current, entry)
        try:
            loaded = entry.load()
        except UserError as error:  # kept by another version of this program
            self._change(entry.id, {"phase": "over", "end": "failed", "reason": str(error)})
            return
        try:
            self._cluster.start(loaded, entry.user, entry.attempt)
        except UserError as error:
            self._next_start = time.monotonic() + PATIENCE_S
            log.warning("sweep %s could not be handed to the cluster: %s", entry.id, error)
            self._change(entry.id, {"reason": f"the cluster did not take it: {error}", "refused": True})

    def _change(self, sweep_id: str, change: dict[str, str | bool]) -> None:
        with self.lock:
            old = self._ledger.entries()[sweep_id]
            self._keep(old, old.model_copy(update=change))


def _latest(jobs: "Iterable[Job]") -> "dict[str, Job]":
    """Of each sweep the job that is live, or else the latest."""
    latest: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda job: (job.live, job.attempt)):
        latest[job.sweep_id] = job
    return latest
