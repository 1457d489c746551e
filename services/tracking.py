"""One sweep in MLflow: a parent run, a child for each configuration, a grandchild for each seed.

Only the driver tracks. It owns the life cycle of every run, so that none stays RUNNING, and it never
waits for MLflow: see `services.outbox`.
"""

from __future__ import annotations

import logging
import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from services.outbox import Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

State: TypeAlias = Literal["complete", "pruned", "failed", "stopped"]
Row: TypeAlias = Mapping[str, float | None]

RunKey: TypeAlias = tuple[int, ...]
"""() is the sweep, (number,) a configuration, (number, seed) a seed."""

_SWEEP: RunKey = ()
_MLFLOW_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "stopped": "KILLED", "failed": "FAILED"}
# Not the other 4xx: those come and go with tokens, load and a proxy whose server is away.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
_METRICS_PER_CALL = 1000
_PARAMS_PER_CALL = 100
_TAG_LIMIT = 4000
_OBJECTIVE = "validation_mae"

log = logging.getLogger("contrasweep.tracking")


class Tracker:
    """What a driver tells MLflow of one sweep. Every method returns at once and none raises for MLflow's sake.

    On resume the runs are found again by their tag `contrasweep.key` ("<sweep>/<trial>/<seed>"), and no
    (run, metric, step) is logged twice. Without an `artifact_location` the server decides on it; beside a
    SQLite store it is the folder `artifacts`.
    """

    def __init__(self, tracking_uri: str, artifact_location: str | None, sweep_name: str, sweep_id: str) -> None:
        self._runs = _SweepRuns(tracking_uri, artifact_location, sweep_name, sweep_id)
        self._outbox = Outbox("MLflow", _is_refused, self._runs.forget)
        self._lock = threading.Lock()
        self._unsent: defaultdict[RunKey, list[tuple[int, Row]]] = defaultdict(list)
        self._objectives: defaultdict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        self._unsent_report: tuple[Path, str] | None = None

    def start(self, spec_yaml: str, params: Mapping[str, str], digests: Mapping[str, str], user: str = "") -> None:
        """Open the sweep's run, or open it again: its spec as an artifact, its parameters, digests as tags.

        `user` is who submitted it.
        """
        tags = {f"contrasweep.digest.{name}": digest for name, digest in digests.items()}
        tags |= {"mlflow.source.name": "contrasweep"} | ({"mlflow.user": user} if user else {})
        self._outbox.put(lambda: self._runs.open(_SWEEP, "", params, tags))
        self._outbox.put(lambda: self._runs.text(spec_yaml, "spec.yaml"))

    def trial_started(self, number: int, method: str, params: Mapping[str, Any]) -> None:
        """Open the run of configuration `number`, or open it again."""
        name = f"{number:04d} {method}"
        self._outbox.put(lambda: self._runs.open((number,), name, {"method": method, **params}, {}))

    def epoch(self, number: int, seed: int, row: Row) -> None:
        """One epoch of a seed: `row` holds "epoch" and metrics; those that are None are left out."""
        self._outbox.put(lambda: self._runs.revive((number, seed)))
        self._queue_rows(number, seed, [row])

    def history(self, number: int, seed: int, rows: Sequence[Row]) -> None:
        """Bring a seed up to date from its checkpoint: rows already logged are skipped."""
        self._queue_rows(number, seed, rows)

    def seed_ended(self, number: int, seed: int, state: State, reason: str) -> None:
        """Close a seed's run."""
        self._outbox.put(lambda: self._runs.end((number, seed), state, reason))

    def trial_ended(
        self, number: int, state: State, reason: str, objective: float | None, per_seed: Mapping[int, float]
    ) -> None:
        """Close a configuration's run with its objective: mean and sd over the seeds that finished, `per_seed`.

        Mean and sd by epoch follow once no seed can join in: here if all are complete, else in `finish`.
        """
        # The step of the objective is the number of seeds that it is a mean of.
        summary: dict[str, float | None] = {"epoch": len(per_seed), "objective": objective}
        if len(per_seed) > 1:
            summary["objective_sd"] = statistics.stdev(per_seed.values())
        stamped = _stamped([summary])
        self._outbox.put(lambda: self._runs.log_rows((number,), stamped))
        if state == "complete":
            self._log_over_seeds(number)
        self._outbox.put(lambda: self._runs.end((number,), state, reason))

    def best(self, number: int, value: float) -> None:
        """Configuration `number` is the best so far, with objective `value`."""
        timestamp_ms = _now_ms()
        self._outbox.put(lambda: self._runs.best(number, value, timestamp_ms))

    def leaderboard(self, text: str) -> None:
        """The leaderboard as it stands, as an artifact."""
        self._outbox.put(lambda: self._runs.text(text, "leaderboard.txt"))

    def report(self, page: Path, summary: str) -> None:
        """The sweep's HTML report, as its file is by the time MLflow takes it, and a description in Markdown."""
        with self._lock:
            self._unsent_report = (page, summary)
        self._outbox.put(self._send_report)

    def metrics(self, values: Row) -> None:
        """Final figures of the sweep, such as the test MAE, on its own run."""
        stamped = _stamped([{"epoch": 0, **values}])
        self._outbox.put(lambda: self._runs.log_rows(_SWEEP, stamped))

    def artifact(self, key: RunKey, path: Path, folder: str | None = None) -> None:
        """Copy a file into a run's artifacts; `key` is (), (number,) or (number, seed)."""
        self._outbox.put(lambda: self._runs.artifact(key, path, folder))

    def register(self, model: Path, tags: Mapping[str, str]) -> None:
        """Copy the folder of an MLflow model to the sweep's run and register it under the sweep's name, once."""
        self._outbox.put(lambda: self._runs.register(model, tags))

    def flush(self, timeout_s: float) -> int:
        """Wait for MLflow, at most `timeout_s`; how many updates are undelivered."""
        return self._outbox.flush(timeout_s)

    def finish(self, state: State, timeout_s: float = 60.0) -> int:
        """Close every run of this sweep, and stop tracking; how many updates MLflow did not take in time."""
        for number in () if state == "stopped" else list(self._objectives):
            self._log_over_seeds(number)
        self._outbox.put(lambda: self._runs.end_all(state))
        undelivered = self._outbox.flush(timeout_s)
        self._outbox.close()
        if undelivered:
            log.warning("%d updates did not reach MLflow", undelivered)
        return undelivered

    def _queue_rows(self, number: int, seed: int, rows: Sequence[Row]) -> None:
        for row in rows:
            if (value := row.get(_OBJECTIVE)) is not None:
                self._objectives[number][seed][int(row["epoch"] or 0)] = value
        with self._lock:
            self._unsent[number, seed] += _stamped(rows)
        self._outbox.put(lambda: self._send_rows((number, seed)))

    def _send_rows(self, key: RunKey) -> None:
        """Everything queued for one run in one call; later tasks for the same rows then find none."""
        with self._lock:
            rows = list(self._unsent[key])
        try:
            self._runs.log_rows(key, rows)
        except Exception as error:
            if _is_refused(error):
                self._drop(key, len(rows))
            raise
        self._drop(key, len(rows))

    def _send_report(self) -> None:
        """The last report; later tasks for it then find none."""
        waiting = self._unsent_report
        if waiting is None:
            return
        page, summary = waiting
        self._runs.tag(_SWEEP, {"mlflow.note.content": summary})
        self._runs.text(page.read_text(), "report.html")
        with self._lock:
            if self._unsent_report is waiting:
                self._unsent_report = None

    def _drop(self, key: RunKey, count: int) -> None:
        with self._lock:
            del self._unsent[key][:count]

    def _log_over_seeds(self, number: int) -> None:
        stamped = _stamped(_over_seeds(list(self._objectives.pop(number, {}).values())))
        self._outbox.put(lambda: self._runs.log_rows((number,), stamped))


@dataclass
class _KnownRun:
    run_id: str
    status: str
    state: str = ""
    params: set[str] = field(default_factory=set)
    metrics: dict[str, float] = field(default_factory=dict)
    logged: set[tuple[str, int]] | None = None  # None: found on the server, its steps not read yet


class _SweepRuns:
    """The runs of one sweep on the server. Every method can be repeated after any failure; one thread calls them."""

    def __init__(self, tracking_uri: str, artifact_location: str | None, sweep_name: str, sweep_id: str) -> None:
        self._tracking_uri = tracking_uri
        database = sqlite_file(tracking_uri)
        beside = str(database.parent / "artifacts" / sweep_name) if database else None
        self._database, self._artifact_location = database, artifact_location or beside
        self._sweep_name = sweep_name
        self._sweep_id = sweep_id
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._known: dict[str, _KnownRun] | None = None
        self._ended_here: set[RunKey] = set()

    def forget(self) -> None:
        """Look at the server again before the next call: the last one may have got through in part."""
        self._known = None

    def open(self, key: RunKey, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Find or create the run of `key`, RUNNING, with `params` that it does not have yet."""
        from mlflow.entities import Param

        run = self._run(key, name)
        self._ended_here = {ended for ended in self._ended_here if ended[: len(key)] != key}
        self._set_running(run)
        self.tag(key, tags)
        new = [Param(_allowed(name), str(value)) for name, value in params.items() if _allowed(name) not in run.params]
        for start in range(0, len(new), _PARAMS_PER_CALL):
            self._connected().log_batch(run.run_id, params=new[start : start + _PARAMS_PER_CALL])
        run.params |= {param.key for param in new}

    def revive(self, key: RunKey) -> None:
        """RUNNING again if the run ended before its configuration was last opened, not for an epoch that comes late."""
        if key not in self._ended_here:
            self._set_running(self._run(key))

    def log_rows(self, key: RunKey, rows: Iterable[tuple[int, Row]]) -> None:
        """Log the values of (timestamp in ms, row) whose (metric, epoch) the run does not have."""
        from mlflow.entities import Metric

        run = self._run(key)
        logged = self._logged(run)
        new: dict[tuple[str, int], Metric] = {}
        for timestamp_ms, row in rows:
            step = int(row["epoch"] or 0)
            for name, value in ((_allowed(name), value) for name, value in row.items()):
                if name != "epoch" and isinstance(value, Real) and (name, step) not in logged:
                    new.setdefault((name, step), Metric(name, float(value), timestamp_ms, step))
        self._log_metrics(run, new)

    def best(self, number: int, value: float, timestamp_ms: int) -> None:
        """`best_objective` and `best_trial`, one step further than the last, unless they are the last."""
        from mlflow.entities import Metric

        run = self._run(_SWEEP)
        if (run.metrics.get("best_objective"), run.metrics.get("best_trial")) == (value, number):
            return
        step = sum(name == "best_objective" for name, _ in self._logged(run))
        values = {"best_objective": value, "best_trial": float(number)}
        self._log_metrics(run, {(k, step): Metric(k, v, timestamp_ms, step) for k, v in values.items()})
        run.metrics |= values

    def tag(self, key: RunKey, tags: Mapping[str, str]) -> None:
        """Set tags, cut to what MLflow takes."""
        from mlflow.entities import RunTag

        if tags:
            run_tags = [RunTag(_allowed(name), value[:_TAG_LIMIT]) for name, value in tags.items()]
            self._connected().log_batch(self._run(key).run_id, tags=run_tags)

    def text(self, text: str, name: str) -> None:
        """A text artifact of the sweep's run; a later one of the same name replaces it."""
        self._connected().log_text(self._run(_SWEEP).run_id, text, name)

    def artifact(self, key: RunKey, path: Path, folder: str | None) -> None:
        """Copy a file."""
        self._connected().log_artifact(self._run(key).run_id, str(path), folder)

    def end(self, key: RunKey, state: State, reason: str) -> None:
        """Close a run with its state and reason."""
        run = self._run(key)
        self._ended_here.add(key)
        if (run.status, run.state) != (_MLFLOW_STATUS[state], state):
            self.tag(key, {"contrasweep.state": state, "contrasweep.reason": reason})
            self._connected().set_terminated(run.run_id, _MLFLOW_STATUS[state])
            run.status, run.state = _MLFLOW_STATUS[state], state

    def end_all(self, state: State) -> None:
        """Close what is still open, the sweep's own run last."""
        for text, run in list(self._runs().items()):
            key = self._key_of(text)
            if key != _SWEEP and run.status == "RUNNING":
                self.end(key, "stopped", "the sweep ended first")
        self.end(_SWEEP, state, "")

    def register(self, model: Path, tags: Mapping[str, str]) -> None:
        """Upload and register; a second time for the same run does nothing."""
        client, run = self._connected(), self._run(_SWEEP)
        if client.search_model_versions(f"run_id = '{run.run_id}'"):
            return
        client.log_artifacts(run.run_id, str(model), "model")
        _unless_exists(lambda: client.create_registered_model(self._sweep_name))
        client.create_model_version(self._sweep_name, f"runs:/{run.run_id}/model", run.run_id, tags=dict(tags))

    def _connected(self) -> MlflowClient:
        if self._client is None:
            quieten_mlflow()
            from mlflow import MlflowClient

            if self._database:
                self._database.parent.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self._tracking_uri)
        return self._client

    def _runs(self) -> dict[str, _KnownRun]:
        if self._known is None:
            self._experiment_id = self._experiment()
            self._known = {run.data.tags["contrasweep.key"]: _found(run) for run in self._search()}
        return self._known

    def _experiment(self) -> str:
        client = self._connected()
        if (found := client.get_experiment_by_name(self._sweep_name)) is None:
            _unless_exists(lambda: client.create_experiment(self._sweep_name, self._artifact_location))
            found = client.get_experiment_by_name(self._sweep_name)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _search(self) -> list[Run]:
        """Every run of the sweep, newest first, so that of two with one key the oldest is kept."""
        client, found, token = self._connected(), [], None
        while True:
            page = client.search_runs(
                [self._experiment_id],
                f"tags.`contrasweep.sweep` = '{self._sweep_id}'",
                max_results=1000,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += page
            if not (token := page.token):
                return found

    def _run(self, key: RunKey, name: str = "") -> _KnownRun:
        runs, text = self._runs(), self._text_of(key)
        if text not in runs:
            tags = {
                "mlflow.runName": name or _default_name(self._sweep_id, key),
                "contrasweep.sweep": self._sweep_id,
                "contrasweep.key": text,
                "contrasweep.state": "running",
            }
            if key:
                tags["mlflow.parentRunId"] = self._run(key[:-1]).run_id
            created = self._connected().create_run(self._experiment_id, tags=tags)
            runs[text] = _KnownRun(created.info.run_id, "RUNNING", "running", logged=set())
        return runs[text]

    def _set_running(self, run: _KnownRun) -> None:
        if run.status != "RUNNING":
            self._connected().update_run(run.run_id, "RUNNING")
            self._connected().set_tag(run.run_id, "contrasweep.state", "running")
            run.status, run.state = "RUNNING", "running"

    def _logged(self, run: _KnownRun) -> set[tuple[str, int]]:
        if run.logged is None:
            history = self._connected().get_metric_history
            run.logged = {(name, metric.step) for name in run.metrics for metric in history(run.run_id, name)}
        return run.logged

    def _log_metrics(self, run: _KnownRun, new: Mapping[tuple[str, int], Metric]) -> None:
        metrics = list(new.values())
        for start in range(0, len(metrics), _METRICS_PER_CALL):
            self._connected().log_batch(run.run_id, metrics[start : start + _METRICS_PER_CALL])
        self._logged(run).update(new)

    def _text_of(self, key: RunKey) -> str:
        return "/".join([self._sweep_id, *map(str, key)])

    def _key_of(self, text: str) -> RunKey:
        return tuple(int(part) for part in text.removeprefix(self._sweep_id).split("/")[1:])


def quieten_mlflow() -> None:
    """Leave retries to the outbox, and the screen to contrasweep: no messages, links or progress bars of its own.

    A variable that the user has set stays.
    """
    # MLflow's own retries would hold up the outbox for minutes, and with it the end of a sweep.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow  # noqa: F401  # its import sets up the logger

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database of a SQLite store; None for a server."""
    _, prefix, path = tracking_uri.partition("sqlite:///")
    return Path(path).absolute() if prefix else None


def _found(run: Run) -> _KnownRun:
    state = run.data.tags.get("contrasweep.state", "")
    return _KnownRun(run.info.run_id, run.info.status, state, set(run.data.params), dict(run.data.metrics))


def _default_name(sweep_id: str, key: RunKey) -> str:
    return {0: sweep_id, 1: f"{key[0]:04d}" if key else "", 2: f"seed {key[-1]}" if key else ""}[len(key)]


def _over_seeds(curves: Sequence[Mapping[int, float]]) -> list[Row]:
    """Mean and sd by epoch of the seeds that got furthest: one cut short would put a step into the mean."""
    last = max((max(curve) for curve in curves), default=0)
    furthest = [curve for curve in curves if last in curve]
    return [_mean_and_sd(epoch, [c[epoch] for c in furthest if epoch in c]) for epoch in sorted(set().union(*furthest))]


def _mean_and_sd(epoch: int, values: Sequence[float]) -> Row:
    row: dict[str, float | None] = {"epoch": epoch, f"{_OBJECTIVE}_mean": statistics.fmean(values)}
    if len(values) > 1:
        row[f"{_OBJECTIVE}_sd"] = statistics.stdev(values)
    return row


def _stamped(rows: Iterable[Row]) -> list[tuple[int, Row]]:
    # The time is fixed here, so that a batch sent twice is the same batch to MLflow.
    now_ms = _now_ms()
    return [(now_ms, dict(row)) for row in rows]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _allowed(name: str) -> str:
    """`name` with what MLflow refuses in names replaced."""
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)


def _unless_exists(create: Callable[[], object]) -> None:
    from mlflow.exceptions import MlflowException

    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _is_refused(error: Exception) -> bool:
    """Whether trying again is of no use: the server said no, a file is gone, or the call itself is wrong."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code in _REFUSALS
    return isinstance(error, FileNotFoundError | TypeError | AttributeError | LookupError)
