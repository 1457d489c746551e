"""One sweep on an MLflow server: a parent run, a child for each configuration, a grandchild for each of its runs.

The driver owns the life cycle of every run, so that none stays RUNNING.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from contrasweep.services.spec.replicate import Replicate, replicate_named

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

RunState: TypeAlias = Literal["complete", "pruned", "failed", "stopped"]
"""How a run ended."""
Metrics: TypeAlias = Mapping[str, float | None]

RunKey: TypeAlias = tuple[int | Replicate, ...]
"""() is the sweep, (number,) a configuration, (number, replicate) one of its runs."""

SWEEP: RunKey = ()
_MLFLOW_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "stopped": "KILLED", "failed": "FAILED"}
# Not the other 4xx: those come and go with tokens, load and a proxy whose server is away.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
QUIET = {
    # Its own retries would hold up the outbox for minutes, and with it the end of a sweep.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
"""What MLflow reads from the environment."""
_METRICS_PER_CALL = 1000
_PARAMS_PER_CALL = 100
_TAG_LIMIT = 4000
_DESCRIPTION_LETTERS = 5000


@dataclass
class _KnownRun:
    run_id: str
    status: str
    state: str = ""
    params: set[str] = field(default_factory=set)
    metrics: dict[str, float] = field(default_factory=dict)
    logged: set[tuple[str, int]] | None = None  # None: found on the server, its steps not read yet


class Vanished(LookupError):
    """A run that was there is not there any more."""


class SweepRuns:
    """The runs of one sweep on the server. Every method can be repeated after any failure; one thread calls them.

    What was deleted is restored, as far as the server still has it. The server is first talked to inside `opening`,
    for a database whose tables that may make.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_location: str | None,
        sweep_name: str,
        sweep_id: str,
        opening: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._tracking_uri, self._opening = tracking_uri, opening
        database = sqlite_file(tracking_uri)
        beside = str(database.parent / "artifacts" / sweep_name) if database else None
        self._database, self._artifact_location = database, artifact_location or beside
        self._sweep_name = sweep_name
        self._sweep_id = sweep_id
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._known: dict[str, _KnownRun] | None = None
        self._ids: dict[str, str] = {}  # of all runs that were there once
        self._ended_here: set[RunKey] = set()

    def forget(self) -> None:
        """Look at the server again before the next call: the last one may have got through in part."""
        self._known = None

    def check(self) -> None:
        """Raise Vanished where a run that was there has been deleted, or its experiment."""
        if not self._ids:
            return
        from mlflow.entities import ViewType

        lost = {*self._ids.values()} - {run.info.run_id for run in self._search(ViewType.ACTIVE_ONLY)}
        if lost:
            raise Vanished(f"{len(lost)} of {len(self._ids)} runs are gone")

    def begin_anew(self) -> None:
        """Make runs anew that were there once, where the server has them no more."""
        self._known, self._ids = None, {}

    def open(
        self, key: RunKey, name: str, params: Mapping[str, Any], tags: Mapping[str, str], running: bool = True
    ) -> None:
        """Find or create the run of `key`, with `params` that it does not have yet; RUNNING, if it is `running`."""
        from mlflow.entities import Param

        run = self._run(key, name)
        if running:
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

    def log_rows(self, key: RunKey, rows: Iterable[tuple[int, Metrics]]) -> None:
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

    def best(self, bests: Sequence[tuple[int, float]], timestamp_ms: int) -> None:
        """`best_trial` and `best_objective`, the last of `bests`, one step further than the last, unless they are that.

        A run that has none yet gets all of them, a step each.
        """
        from mlflow.entities import Metric

        run = self._run(SWEEP)
        first = sum(name == "best_objective" for name, _ in self._logged(run))
        last = (run.metrics.get("best_trial"), run.metrics.get("best_objective"))
        new = [best for best in (bests[-1:] if first else bests) if best != last]
        values = [{"best_trial": float(number), "best_objective": value} for number, value in new]
        rows = {(k, step): v for step, row in enumerate(values, first) for k, v in row.items()}
        self._log_metrics(run, {(k, step): Metric(k, v, timestamp_ms, step) for (k, step), v in rows.items()})
        run.metrics |= values[-1] if values else {}

    def tag(self, key: RunKey, tags: Mapping[str, str]) -> None:
        """Set tags, cut to what MLflow takes."""
        from mlflow.entities import RunTag

        if tags:
            run_tags = [RunTag(_allowed(name), value[:_TAG_LIMIT]) for name, value in tags.items()]
            self._connected().log_batch(self._run(key).run_id, tags=run_tags)

    def text(self, text: str, name: str) -> None:
        """A text artifact of the sweep's run; a later one of the same name replaces it."""
        self._connected().log_text(self._run(SWEEP).run_id, text, name)

    def artifact(self, key: RunKey, path: Path, folder: str | None) -> None:
        """Copy a file."""
        self._connected().log_artifact(self._run(key).run_id, str(path), folder)

    def end(self, key: RunKey, state: RunState, reason: str) -> None:
        """Close a run with its state and reason."""
        run = self._run(key)
        self._ended_here.add(key)
        if (run.status, run.state) != (_MLFLOW_STATUS[state], state):
            self.tag(key, {"contrasweep.state": state, "contrasweep.reason": reason})
            self._connected().set_terminated(run.run_id, _MLFLOW_STATUS[state])
            run.status, run.state = _MLFLOW_STATUS[state], state

    def end_all(self, state: RunState) -> None:
        """Close what is still open, the sweep's own run last."""
        for text, run in list(self._runs().items()):
            key = self._key_of(text)
            if key != SWEEP and run.status == "RUNNING":
                self.end(key, "stopped", "the sweep ended first")
        self.end(SWEEP, state, "")

    def register(self, model: Path, tags: Mapping[str, str], card: Path) -> None:
        """Upload and register, described by what is in `card`; a second time for the same run does nothing."""
        client, run = self._connected(), self._run(SWEEP)
        if client.search_model_versions(f"run_id = '{run.run_id}'"):
            return
        client.log_artifacts(run.run_id, str(model), "model")
        _unless_exists(lambda: client.create_registered_model(self._sweep_name))
        described = card.read_text()[:_DESCRIPTION_LETTERS] if card.is_file() else None
        client.create_model_version(
            self._sweep_name, f"runs:/{run.run_id}/model", run.run_id, tags=dict(tags), description=described
        )

    def _connected(self) -> MlflowClient:
        if self._client is None:
            quieten_mlflow()
            from mlflow import MlflowClient

            if self._database:
                self._database.parent.mkdir(parents=True, exist_ok=True)
            with self._opening():
                client = MlflowClient(tracking_uri=self._tracking_uri)
                client.search_experiments(max_results=1)
            self._client = client
        return self._client

    def _runs(self) -> dict[str, _KnownRun]:
        if self._known is None:
            from mlflow.entities import ViewType

            self._experiment_id = self._experiment()
            every = sorted(self._search(ViewType.ALL), key=_is_active)  # of two with one key the last is kept
            found = {run.data.tags["contrasweep.key"]: run for run in every}
            for run in found.values():
                if not _is_active(run):
                    self._connected().restore_run(run.info.run_id)
            self._known = {key: _found(run) for key, run in found.items()}
            self._ids |= {key: run.run_id for key, run in self._known.items() if key not in self._ids}
        return self._known

    def _experiment(self) -> str:
        client = self._connected()
        if (found := client.get_experiment_by_name(self._sweep_name)) is None:
            _unless_exists(lambda: client.create_experiment(self._sweep_name, self._artifact_location))
            found = client.get_experiment_by_name(self._sweep_name)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _search(self, view: int) -> list[Run]:
        """Every run of the sweep, newest first."""
        client, found, token = self._connected(), [], None
        while True:
            page = client.search_runs(
                [self._experiment_id],
                f"tags.`contrasweep.sweep` = '{self._sweep_id}'",
                view,
                max_results=1000,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += page
            if not (token := page.token):
                return found

    def _run(self, key: RunKey, name: str = "") -> _KnownRun:
        runs, text = self._runs(), self._text_of(key)
        if self._ids.get(text) != (runs[text].run_id if text in runs else None):
            raise Vanished(f"the run of {text} is gone")
        if text not in runs:
            tags = {
                "mlflow.runName": name or _default_name(self._sweep_id, key),
                "contrasweep.sweep": self._sweep_id,
                "contrasweep.key": text,
                "contrasweep.state": "running",
            }
            if parent := self._run(key[:-1]).run_id if key else self._whole_sweep():
                tags["mlflow.parentRunId"] = parent
            created = self._connected().create_run(self._experiment_id, tags=tags)
            runs[text] = _KnownRun(created.info.run_id, "RUNNING", "running", logged=set())
            self._ids[text] = created.info.run_id
        return runs[text]

    def _whole_sweep(self) -> str:
        """Where this is the search in an outer fold, the run of its sweep, as far as it is there yet."""
        whole, dot, _ = self._sweep_id.partition(".")
        wanted = f"tags.`contrasweep.key` = '{whole}'"
        found = self._connected().search_runs([self._experiment_id], wanted, max_results=1) if dot else []
        return found[0].info.run_id if found else ""

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
        number, run = (*text.removeprefix(self._sweep_id).split("/")[1:], "", "")[:2]
        return (*([int(number)] if number else []), *([replicate_named(run)] if run else []))


def quieten_mlflow() -> None:
    """Leave retries to the outbox, and the screen to contrasweep: no messages, links or progress bars of MLflow's own.

    Nor does it send anybody a word about its use.

    A variable that the user has set stays.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  # its import sets up the logger

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


def sqlite_file(tracking_uri: str) -> Path | None:
    """The database of a SQLite store; None for a server."""
    _, prefix, path = tracking_uri.partition("sqlite:///")
    return Path(path).absolute() if prefix else None


def _is_active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")


def _found(run: Run) -> _KnownRun:
    state = run.data.tags.get("contrasweep.state", "")
    return _KnownRun(run.info.run_id, run.info.status, state, set(run.data.params), dict(run.data.metrics))


def _default_name(sweep_id: str, key: RunKey) -> str:
    if not key:
        return sweep_id
    return key[-1].words if isinstance(key[-1], Replicate) else f"{key[-1]:04d}"


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


def is_refused(error: Exception) -> bool:
    """Whether trying again is of no use: the server said no, a file is gone, or the call itself is wrong."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code in _REFUSALS
    return isinstance(error, FileNotFoundError | TypeError | AttributeError | LookupError)
