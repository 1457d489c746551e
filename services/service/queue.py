"""What to do next, decided from what was wished and what is seen; nothing here has a side effect."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from contrasweep.services.records.answers import Sweep
from contrasweep.services.service.ledger import Entry

if TYPE_CHECKING:
    from contrasweep.services.verbs.ray_jobs import Job

MAX_RESTARTS = MAX_LOST = 3
WINDOW_S = 30 * 24 * 3600.0
"""How far back GPU-hours count."""

HELD = frozenset({"running", "stopping"})
"""States of a folder that a driver holds."""


@dataclass(frozen=True)
class Quotas:
    """How many sweeps run at once, in all and of one user, and a user's GPU-hours in 30 days; None is no limit."""

    running: int = 1
    user_running: int | None = None
    user_gpu_hours: float | None = None


@dataclass(frozen=True)
class Observed:
    """What is seen at one moment: folders as they describe themselves, and of each sweep the latest job."""

    folders: Mapping[str, Sweep] = field(default_factory=dict)
    jobs: Mapping[str, "Job"] = field(default_factory=dict)

    def is_live(self, sweep_id: str) -> bool:
        """Whether the cluster has a job of it, or a driver holds its folder."""
        job, folder = self.jobs.get(sweep_id), self.folders.get(sweep_id)
        return (job is not None and job.live) or (folder is not None and folder.state in HELD)

    def attempt(self, sweep_id: str) -> int:
        """The last attempt that anything is seen of; 0 where there is none."""
        job, folder = self.jobs.get(sweep_id), self.folders.get(sweep_id)
        return max(job.attempt if job else 0, folder.attempt if folder else 0)


@dataclass(frozen=True)
class Keep:
    """Keep an entry as it is here."""

    entry: Entry


@dataclass(frozen=True)
class Start:
    """Keep the entry, then hand its attempt to the cluster."""

    entry: Entry


@dataclass(frozen=True)
class RequestStop:
    """Leave word for the driver to stop cleanly."""

    id: str
    attempt: int


@dataclass(frozen=True)
class Kill:
    """End the job at once."""

    id: str
    attempt: int


@dataclass(frozen=True)
class Settle:
    """Have the folder of a driver that died say how the sweep stands."""

    id: str
    state: Literal["stopped", "failed"]
    reason: str


Action = Keep | Start | RequestStop | Kill | Settle


def decide(entries: Iterable[Entry], observed: Observed, quotas: Quotas, now: float) -> list[Action]:
    """What to do, in this order. `now` is in seconds since 1970."""
    before = list(entries)
    after = [_paused(entry, before, observed, quotas, now) for entry in (_seen(e, observed, now) for e in before)]
    actions: list[Action] = [Keep(new) for old, new in zip(before, after, strict=True) if new != old]
    actions += [settle for old, new in zip(before, after, strict=True) if (settle := _settle(old, new, observed))]
    for entry in after:
        if entry.phase == "out" and (entry.wish == "stop" or entry.paused):
            actions.append(_end(entry, observed))
    return actions + [Start(entry) for entry in _starts(after, observed, quotas, now)]


def line(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that wait, the first in line first."""
    return sorted((e for e in entries if e.phase == "waiting"), key=lambda entry: (entry.queued, entry.id))


def reasons(entries: Sequence[Entry], observed: Observed, quotas: Quotas, now: float) -> dict[str, str]:
    """Why each waiting sweep waits; one that is about to start is not in it."""
    places = _Places(entries, observed, quotas, now)
    return {entry.id: why for entry in line(entries) if (why := places.take(entry))}


def gpu_hours(user: str, entries: Iterable[Entry], observed: Observed, now: float) -> float:
    """What a user's sweeps took in the last 30 days; an attempt counts by its end, one under way counts whole."""
    own = [entry for entry in entries if entry.user == user]
    ended = sum(hours for entry in own for time, hours in entry.used if time > now - WINDOW_S)
    return ended + sum(_unbooked(entry, observed) for entry in own if entry.phase == "out")


class _Places:
    """The places at the cluster, taken one after the other."""

    def __init__(self, entries: Sequence[Entry], observed: Observed, quotas: Quotas, now: float) -> None:
        self._entries, self._observed, self._quotas, self._now = entries, observed, quotas, now
        out = {entry.id: entry.user for entry in entries if entry.phase == "out"}
        by_hand = {name: observed.folders[name].user if name in observed.folders else "" for name in _live(observed)}
        self._taken = by_hand | out
        self._hours: dict[str, float] = {}

    def take(self, entry: Entry) -> str:
        """Take a place for an entry; or why there is none."""
        quotas, users = self._quotas, Counter(self._taken.values())
        if entry.id in self._taken:
            return "waits for its last driver to end"
        limit = quotas.user_gpu_hours
        if limit is not None and (hours := self._hours_of(entry.user)) >= limit:
            return f"waits: {entry.user} has used {hours:.1f} of {limit:g} GPU-hours in the last 30 days"
        if quotas.user_running is not None and users[entry.user] >= quotas.user_running:
            return f"waits: {entry.user} runs {users[entry.user]} of at most {quotas.user_running} sweeps"
        if len(self._taken) >= quotas.running:
            return f"waits for a place: {len(self._taken)} of at most {quotas.running} sweeps run"
        self._taken[entry.id] = entry.user
        return ""

    def _hours_of(self, user: str) -> float:
        if user not in self._hours:
            self._hours[user] = gpu_hours(user, self._entries, self._observed, self._now)
        return self._hours[user]


def _live(observed: Observed) -> list[str]:
    return [name for name in {*observed.folders, *observed.jobs} if observed.is_live(name)]


def _starts(entries: Sequence[Entry], observed: Observed, quotas: Quotas, now: float) -> list[Entry]:
    places = _Places(entries, observed, quotas, now)
    chosen = [entry for entry in line(entries) if not places.take(entry)]
    return [
        entry.model_copy(
            update={
                "phase": "out",
                "attempt": max(entry.attempt, observed.attempt(entry.id)) + 1,
                "reason": "",
                "refused": False,
            }
        )
        for entry in chosen
    ]


def _seen(entry: Entry, observed: Observed, now: float) -> Entry:
    """The entry, brought up to date with what is seen of its sweep."""
    attempt = observed.attempt(entry.id)
    if attempt > entry.attempt:  # handed to the cluster by somebody else
        wish = {} if entry.phase == "out" else {"wish": "run", "now": False, "end": "", "reason": ""}
        entry = entry.model_copy(update={"phase": "out", "attempt": attempt, **wish})
    if entry.phase != "out":
        return entry
    if observed.is_live(entry.id):
        arrived = {"reason": "", "lost": 0, "refused": False}
        return entry.model_copy(update=arrived)
    return _ended(entry, observed, now)


def _ended(entry: Entry, observed: Observed, now: float) -> Entry:
    """The entry of an attempt that is no longer live."""
    folder, job = observed.folders.get(entry.id), observed.jobs.get(entry.id)
    hours = _unbooked(entry, observed)
    booked = entry.model_copy(update={"used": (*entry.used, (now, hours))}) if hours else entry
    heard = folder if folder and folder.attempt >= entry.attempt else None
    if folder and folder.state == "finished" and folder.reaches(entry.extent):
        return _over(booked, "finished", "")
    if heard and heard.state == "failed":
        return _over(booked, "failed", heard.reason)
    if entry.wish == "stop":
        return _over(booked, "stopped", "")
    if entry.paused:
        return _back(booked, restarts=0)
    if heard and heard.state == "stopped":
        return _over(booked, "stopped", heard.reason)
    if heard is None and (job is None or job.attempt < entry.attempt):
        return _back(booked, booked.restarts) if booked.refused else _after_loss(booked)
    return _after_death(booked, folder, job.message if job else "")


def _after_loss(entry: Entry) -> Entry:
    """The entry of an attempt that the cluster took and that never arrived."""
    lost = entry.lost + 1
    if lost > MAX_LOST:
        return _over(entry, "failed", f"the cluster took it {lost} times in a row, and it never arrived there")
    return _back(entry.model_copy(update={"lost": lost}), entry.restarts)


def _after_death(entry: Entry, folder: Sweep | None, message: str) -> Entry:
    progress = folder.ended + folder.seed_runs + folder.saved if folder else 0
    restarts = 1 if progress != entry.progress else entry.restarts + 1
    if restarts > MAX_RESTARTS:
        said = f": {message}" if message else ""
        return _over(entry, "failed", f"its driver died {restarts} times in a row without progress{said}")
    return _back(entry.model_copy(update={"progress": progress, "lost": 0}), restarts)


def _end(entry: Entry, observed: Observed) -> RequestStop | Kill:
    """What ends a sweep's driver. One without a job can only be asked, by the number that it holds the folder with."""
    job, folder = observed.jobs.get(entry.id), observed.folders.get(entry.id)
    if entry.now and job and job.live:
        return Kill(entry.id, job.attempt)
    return RequestStop(entry.id, folder.attempt if folder and folder.state in HELD else entry.attempt)


def _over(entry: Entry, end: Literal["finished", "failed", "stopped"], reason: str) -> Entry:
    rest = {"phase": "over", "end": end, "reason": reason, "paused": False, "now": False, "restarts": 0, "lost": 0}
    return entry.model_copy(update=rest)


def _back(entry: Entry, restarts: int) -> Entry:
    return entry.model_copy(update={"phase": "waiting", "paused": False, "now": False, "restarts": restarts})


def _paused(entry: Entry, entries: Sequence[Entry], observed: Observed, quotas: Quotas, now: float) -> Entry:
    """The entry, paused where it is out and its user over quota."""
    limit = quotas.user_gpu_hours
    if limit is None or entry.phase != "out" or entry.paused:
        return entry
    over = gpu_hours(entry.user, entries, observed, now) >= limit
    return entry.model_copy(update={"paused": True}) if over else entry


def _settle(old: Entry, new: Entry, observed: Observed) -> Settle | None:
    folder = observed.folders.get(new.id)
    if old == new or new.phase != "over" or folder is None or folder.state != "interrupted":
        return None
    assert new.end in ("stopped", "failed")
    return Settle(new.id, "stopped" if new.end == "stopped" else "failed", new.reason)


def _unbooked(entry: Entry, observed: Observed) -> float:
    folder = observed.folders.get(entry.id)
    return max(0.0, folder.gpu_hours - sum(hours for _, hours in entry.used)) if folder else 0.0
