"""The sweeps of a Ray cluster, through its Jobs API: no service is needed.

A sweep's driver is the Ray job `<sweep id>.<attempt>`. Ray takes an id once only, so of all who submit an attempt one
starts it. What only the cluster's folders know is asked by small jobs, whose print is read back.
"""

import getpass
import json
import os
import re
import shlex
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contrasweep.services.cluster.environment import QUIET
from contrasweep.services.records.answers import (
    ACTIVE,
    Comparison,
    Outcome,
    Planned,
    State,
    Submitted,
    Sweep,
    Trial,
    asked_by,
)
from contrasweep.services.records.code import code_digest, copy_code
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More, extended
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from contrasweep.services.verbs.driver import ANSWER, ANSWERED, END, OTHER_CODE, REFUSED
from contrasweep.services.verbs.jobs_client import ClusterAway, JobsClient, last_line
from contrasweep.trainers.errors import UserError

_SPEC = "spec.yaml"
_ID = re.compile(r"(?P<sweep>(?P<name>[a-z0-9][a-z0-9_-]{0,62})-[0-9a-f]{8})\.(?P<attempt>\d+)")
_HELPER = "contrasweep-ask-"
_POLL_S, _ANSWER_S, _END_S, _FORGOTTEN_S = 0.2, 300.0, 20.0, 10.0
# Ray starts a job's shell from a process of its own Python, whose folder need not be on the PATH.
_PYTHON = (
    r"PATH=$(sed -n 's|^[^/]*\(/.*\)/lib/python[^/]*/site-packages/ray/.*|\1/bin:|p' /proc/$PPID/maps | head -n 1)$PATH"
    " exec python -m contrasweep.services.verbs.driver "
)


class Refused(UserError):
    """What the cluster's side finds wrong."""


@dataclass(frozen=True)
class Job:
    """One driver of a sweep: `status` and `message` are Ray's, `since` is in seconds since 1970."""

    sweep_id: str
    name: str
    attempt: int
    live: bool
    status: str
    message: str
    user: str
    since: float

    @property
    def id(self) -> str:
        """Ray's id of it."""
        return f"{self.sweep_id}.{self.attempt}"


class Jobs:
    """`services.verbs.protocol.Verbs` over the cluster whose dashboard the settings name. Threads may share it.

    Raises ClusterAway where the cluster does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = settings.jobs_address
        self._connected: JobsClient | None = None
        self._lock = threading.Lock()
        self._lacks_code: dict[str, bool] = {}  # by the cluster's session

    def submit(self, loaded: LoadedSpec) -> Submitted:
        """Have a sweep run, or go on; one spec runs once however often it is submitted."""
        known = self._known(loaded.sweep_id)
        if known:
            loaded = replace(loaded, known_as=known.id)
        last = self._last(loaded.sweep_id)  # asked after the folders: who submits meanwhile is seen
        if known or last:
            told, asked = _told(known, last), asked_by(loaded.spec)
            reached = told.reaches(asked["extent"])
            if told.state in ACTIVE and not reached:
                raise UserError(f"sweep {told.id} is {told.state}; extend it once it has ended, or stop it first")
            if told.state in ACTIVE or (told.state == "finished" and reached):
                return Submitted(outcome="done" if told.state == "finished" else "already running", sweep=told)
        if last and last.live:
            self._wait(last.id)  # its sweep has ended, and it is about to
        user, attempt = _user(), 1 + max(known.attempt if known else 0, last.attempt if last else 0)
        started = self.start(loaded, user, attempt)
        outcome: Outcome = "already running" if not started else "resumed" if known or last else "submitted"
        return Submitted(outcome=outcome, sweep=_starting(loaded, user, attempt))

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What the sweep would take on the cluster, with nothing begun."""
        return Planned.model_validate(self._ask("plan", _SPEC, "--base", str(loaded.base), loaded=loaded))

    def sweeps(self) -> list[Sweep]:
        """All sweeps, the oldest first."""
        known = {sweep.id: sweep for sweep in map(Sweep.model_validate, self._ask("sweeps"))}
        last = {job.sweep_id: job for job in sorted(self.jobs(), key=lambda job: job.attempt)}
        told = [_told(known.get(sweep_id), last.get(sweep_id)) for sweep_id in known | last]
        return sorted(told, key=lambda sweep: (sweep.started or sweep.submitted, sweep.id))

    def status(self, sweep_id: str) -> Sweep:
        """How a sweep stands."""
        sweep_id, last = self._match(sweep_id)
        try:
            known = Sweep.model_validate(self._ask("status", sweep_id))
        except Refused:
            if last is None:
                raise
            return _told(None, last)
        return _told(known, last or self._last(known.id))

    def trials(self, sweep_id: str) -> list[Trial]:
        """A sweep's configurations, the best first."""
        sweep_id, last = self._match(sweep_id)
        try:
            return [Trial.model_validate(trial) for trial in self._ask("trials", sweep_id)]
        except Refused:
            if last is None:
                raise
            return []

    def compare(self, sweep_ids: Sequence[str]) -> Comparison:
        """Several sweeps side by side, each against the first."""
        return Comparison.model_validate(self._ask("compare", ",".join(sweep_ids)))

    def logs(self, sweep_id: str, trial: int | None = None, follow: bool = False) -> Iterator[str]:
        """Lines of the driver's log, or of one configuration's; `follow` goes on until the sweep ends."""
        sweep_id, last = self._match(sweep_id)
        words = ["logs", sweep_id] + (["--trial", str(trial)] if trial is not None else [])
        if not follow:
            yield from (answer["line"] for answer in self._answers(words))
            return
        words += ["--follow"] + (["--attempt", str(last.attempt)] if last and last.live else [])
        self._find_out()
        with self._helper(words) as helper:
            for document in _documents(self._client.tail(helper)):
                _check(document)
                if END not in document:
                    yield document["line"]

    def stop(self, sweep_id: str, now: bool = False) -> Sweep:
        """Stop after the epochs under way, or, with `now`, at once."""
        told = self.status(sweep_id)
        last = self._last(told.id)
        if last is None or not last.live or told.state not in ACTIVE:
            return Sweep.model_validate(self._ask("stop", told.id))  # refused, or a driver outside of Ray's jobs
        if now:
            self.kill(told.id, last.attempt)
            self._wait(last.id)
            self._ask("settle", told.id)
            return self.status(told.id)
        self._ask("stop", told.id, "--attempt", str(last.attempt))
        return told.model_copy(update={"state": "stopping"})

    def resume(self, sweep_id: str) -> Submitted:
        """Go on with a sweep that was stopped, failed or was interrupted."""
        return self.submit(self._kept(sweep_id))

    def extend(self, sweep_id: str, more: More) -> Submitted:
        """Go on with a sweep, a finished one, too, to more trials, seeds, finalists or spaces."""
        return self.submit(extended(self._kept(sweep_id), more))

    def _kept(self, sweep_id: str) -> LoadedSpec:
        """A sweep's spec as its folder has it."""
        kept = self._ask("spec", sweep_id)
        return LoadedSpec(parse_spec(kept["spec"], _SPEC), Path(_SPEC), Path(kept["base"]), kept["id"])

    def sync(self, sweep_id: str) -> Sweep:
        """Tell the MLflow of the cluster all of a sweep that does not run; how it stands."""
        return Sweep.model_validate(self._ask("sync", sweep_id))

    def report(self, sweep_id: str) -> str:
        """The sweep's HTML report, complete in itself."""
        return str(self._ask("report", sweep_id))

    def jobs(self) -> list[Job]:
        """Every sweep's drivers that Ray knows of, in one call."""
        return [job for details in self._client.jobs() if (job := _job(details))]

    def start(self, loaded: LoadedSpec, user: str, attempt: int) -> bool:
        """Start a sweep's driver number `attempt`, or say that it has been started already."""
        self._find_out()
        words = ["run", _SPEC, "--base", str(loaded.base), "--user", user, "--attempt", str(attempt)]
        words += ["--id", loaded.sweep_id]
        return self._submit(f"{loaded.sweep_id}.{attempt}", words, loaded, {"user": user})

    def kill(self, sweep_id: str, attempt: int) -> None:
        """End a driver at once, with all that it started."""
        self._client.stop(f"{sweep_id}.{attempt}")

    @property
    def _client(self) -> JobsClient:
        with self._lock:
            if self._connected is None:
                self._connected = JobsClient(self._address)
            return self._connected

    def _last(self, sweep_id: str) -> Job | None:
        return max((job for job in self.jobs() if job.sweep_id == sweep_id), key=lambda job: job.attempt, default=None)

    def _known(self, sweep_id: str) -> Sweep | None:
        """How the folder of a sweep says that it stands, or None where it has none yet."""
        known = self._ask("known", sweep_id)
        return Sweep.model_validate(known) if known else None

    def _match(self, sweep_id: str) -> tuple[str, Job | None]:
        """The whole id that one, or the beginning of one, stands for, and its last driver; what is unknown stays.

        A beginning may be that of a sweep whose jobs Ray has forgotten, or of one without a folder yet.
        """
        if not any(job.sweep_id == sweep_id for job in self.jobs()):
            matches = sorted(sweep.id for sweep in self.sweeps() if sweep.id.startswith(sweep_id))
            if len(matches) > 1 and sweep_id not in matches:
                raise UserError(f"sweep '{sweep_id}' could be any of {', '.join(matches)}; say more of it")
            if len(matches) == 1:
                [sweep_id] = matches
        return sweep_id, self._last(sweep_id)

    def _find_out(self) -> None:
        """Learn whether the cluster lacks our code, where that is not known yet."""
        if self._client.session() not in self._lacks_code:
            self._ask("digest")

    def _ask(self, *words: str, loaded: LoadedSpec | None = None) -> Any:
        return self._answers(words, loaded)[-1]["answer"]

    def _answers(self, words: Sequence[str], loaded: LoadedSpec | None = None) -> list[dict[str, Any]]:
        """The documents that a verb is answered with; of a cluster without our code, once it has been sent.

        Raises UserError for what the other side refuses, or where it cannot answer.
        """
        session = self._client.session()
        documents, log = self._hear(words, loaded)
        if not self._lacks_code.get(session) and (not documents or documents[-1].get(END) == OTHER_CODE):
            self._lacks_code[session] = True
            documents, log = self._hear(words, loaded)
        self._lacks_code.setdefault(session, False)
        if not documents or documents[-1].get(END) not in (ANSWERED, REFUSED):
            raise UserError(f"{self._address}: the cluster cannot answer '{words[0]}': {last_line(log)}")
        _check(documents[-1])
        return documents[:-1]

    def _hear(self, words: Sequence[str], loaded: LoadedSpec | None) -> tuple[list[dict[str, Any]], str]:
        """The documents of an answer, and all that the job which gave it has printed."""
        with self._helper(words, loaded) as helper:
            if not self._wait(helper, _ANSWER_S):
                raise ClusterAway(f"{self._address}: the cluster has not answered '{words[0]}' in {_ANSWER_S:g} s")
            log = self._client.log(helper)
            return list(_documents(log.splitlines())), log

    @contextmanager
    def _helper(self, words: Sequence[str], loaded: LoadedSpec | None = None) -> Iterator[str]:
        """A job that answers a verb, for as long as the block; afterwards it is ended, and forgotten by the next."""
        self._forget_helpers()
        helper = f"{_HELPER}{uuid.uuid4().hex}"
        code = "" if self._lacks_code.get(self._client.session()) else code_digest()
        self._submit(helper, ["ask", "--code", code, *words], loaded, {})
        try:
            yield helper
        finally:
            with suppress(UserError):
                if not self._client.has_ended(helper):
                    self._client.stop(helper)

    def _forget_helpers(self) -> None:
        """Delete the helpers that ended a while ago: what is deleted at once, Ray writes down again as failed."""
        old = (time.time() - _FORGOTTEN_S) * 1000
        for job in self._client.jobs():
            if (job.submission_id or "").startswith(_HELPER) and job.status.is_terminal() and (job.end_time or 0) < old:
                with suppress(UserError):  # another client was faster
                    self._client.delete(job.submission_id)

    def _wait(self, job: str, patience_s: float = _END_S) -> bool:
        """Wait until a job has ended, or say that it has not."""
        deadline = time.monotonic() + patience_s
        while not self._client.has_ended(job):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _submit(self, job: str, words: Sequence[str], loaded: LoadedSpec | None, metadata: dict[str, str]) -> bool:
        lacks_code = self._lacks_code.get(self._client.session(), False)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if lacks_code:
                copy_code(folder)
            if loaded:
                (folder / _SPEC).write_text(loaded.spec.to_yaml())
            runtime_env: dict[str, Any] = {"env_vars": QUIET}
            if loaded or lacks_code:
                runtime_env["working_dir"] = name
            return self._client.submit(
                submission_id=job, entrypoint=_PYTHON + shlex.join(words), runtime_env=runtime_env, metadata=metadata
            )


def _user() -> str:
    """Who asks; in a container that may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _job(details: Any) -> Job | None:
    """Of Ray's details, where the job is a sweep's driver."""
    found = _ID.fullmatch(details.submission_id or "")
    if not found:
        return None
    return Job(
        sweep_id=found["sweep"],
        name=found["name"],
        attempt=int(found["attempt"]),
        live=not details.status.is_terminal(),
        status=str(details.status),
        message=last_line(details.message),
        user=(details.metadata or {}).get("user", ""),
        since=(details.start_time or 0) / 1000,
    )


def _starting(loaded: LoadedSpec, user: str, attempt: int) -> Sweep:
    return Sweep(
        id=loaded.sweep_id,
        state="starting",
        user=user,
        attempt=attempt,
        submitted=time.time(),
        **asked_by(loaded.spec),
    )


def _told(known: Sweep | None, last: Job | None) -> Sweep:
    """How a sweep stands by its folder and by its last driver's job: where they disagree, the later one is right."""
    if last is None:
        assert known
        return known
    sweep = known or Sweep(id=last.sweep_id, state="starting", user=last.user)
    sweep = sweep.model_copy(update={"submitted": last.since})
    if sweep.attempt >= last.attempt:
        killed = sweep.state == "interrupted" and last.status == "STOPPED"
        return sweep.model_copy(update={"state": "stopped"}) if killed else sweep
    state: State
    if last.live:
        state, reason = "starting", ""
    elif last.status == "STOPPED":
        state, reason = "stopped", ""
    elif last.status == "SUCCEEDED":  # it found the sweep finished, and left its folder as it was
        state, reason = "finished", ""
    else:
        state, reason = "failed", last.message
    return sweep.model_copy(update={"state": state, "reason": reason, "attempt": last.attempt, "user": last.user})


def _documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The documents of an answer among all that a job prints."""
    yield from (json.loads(line.removeprefix(ANSWER)) for line in lines if line.startswith(ANSWER))


def _check(document: dict[str, Any]) -> None:
    if document.get(END) == REFUSED:
        raise Refused(document["reason"])
