"""How a sweep stands for whoever asks: what was wished, what its folder says and what the cluster does, in one."""

from typing import Any

from contrasweep.services.records.answers import State, Submission, Sweep, fields_of
from contrasweep.services.service.ledger import Entry
from contrasweep.services.service.queue import HELD, Observed


def shown(entry: Entry | None, folder: Sweep | None, observed: Observed) -> Sweep:
    """The answer for a sweep that is in the ledger, has a folder, or both; places in line are filled in elsewhere."""
    if entry is None:
        assert folder is not None
        return _by_hand(folder, observed)
    base = folder or Sweep(id=entry.id, state="queued")
    fields: dict[str, Any] = {
        **fields_of(Submission, entry),
        "folds": base.folds or entry.folds,  # a driver counts those that a column's values make
        "outer": base.outer or entry.outer,
        "attempt": max(entry.attempt, base.attempt),
        "state": _state(entry, folder, observed),
        "reason": entry.reason,
    }
    if folder and fields["state"] == "failed":
        fields["reason"] = entry.reason or folder.reason
    return base.model_copy(update=fields)


def _state(entry: Entry, folder: Sweep | None, observed: Observed) -> State:
    if entry.phase == "over":
        return entry.end or "stopped"
    if entry.phase == "waiting":
        return "queued"
    heard = folder if folder and folder.attempt >= entry.attempt else None
    if heard and heard.state in ("finished", "failed"):
        return heard.state
    if entry.wish == "stop" or entry.paused:
        return "stopping"
    if heard is None:
        return "starting"
    return "running" if heard.state in HELD or observed.is_live(entry.id) else heard.state


def _by_hand(folder: Sweep, observed: Observed) -> Sweep:
    job = observed.jobs.get(folder.id)
    if job is None or not job.live or folder.state in HELD:
        return folder
    state: State = "running" if folder.attempt >= job.attempt else "starting"
    return folder if folder.state in ("finished", "failed") else folder.model_copy(update={"state": state})
