"""What a driver tells MLflow of its sweep: only the driver tracks, and it never waits for MLflow."""

import logging
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.stores.mlflow import SWEEP, Metrics, RunKey, RunState, SweepRuns, is_refused
from contrasweep.services.stores.outbox import Outbox
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES

log = logging.getLogger("contrasweep.tracking")


class Tracker:
    """What a driver tells MLflow of one sweep. Every method returns at once and none raises for MLflow's sake.

    On resume the runs are found again by their tag `contrasweep.key` ("<sweep>/<trial>/<replicate>"), and no
    (run, metric, step) is logged twice. Without an `artifact_location` the server decides on it; beside a
    SQLite store it is the folder `artifacts`. `objective` is the metric that configurations are compared by.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_location: str | None,
        sweep_name: str,
        sweep_id: str,
        objective: str = OBJECTIVES[DEFAULT].key,
    ) -> None:
        self._objective = objective
        self._runs = SweepRuns(tracking_uri, artifact_location, sweep_name, sweep_id)
        self._outbox = Outbox("MLflow", is_refused, self._runs.forget)
        self._lock = threading.Lock()
        self._unsent: defaultdict[RunKey, list[tuple[int, Metrics]]] = defaultdict(list)
        self._objectives: defaultdict[int, dict[Replicate, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        self._unsent_report: tuple[Path, str] | None = None

    def start(self, spec_yaml: str, params: Mapping[str, str], digests: Mapping[str, str], user: str = "") -> None:
        """Open the sweep's run, or open it again: its spec as an artifact, its parameters, digests as tags.

        `user` is who submitted it.
        """
        tags = {f"contrasweep.digest.{name}": digest for name, digest in digests.items()}
        tags |= {"mlflow.source.name": "contrasweep"} | ({"mlflow.user": user} if user else {})
        self._outbox.put(lambda: self._runs.open(SWEEP, "", params, tags))
        self._outbox.put(lambda: self._runs.text(spec_yaml, "spec.yaml"))

    def trial_started(self, number: int, method: str, params: Mapping[str, Any]) -> None:
        """Open the run of configuration `number`, or open it again."""
        name = f"{number:04d} {method}"
        self._outbox.put(lambda: self._runs.open((number,), name, {"method": method, **params}, {}))

    def epoch(self, number: int, replicate: Replicate, row: Metrics) -> None:
        """One epoch of a run: `row` holds "epoch" and metrics; those that are None are left out."""
        self._outbox.put(lambda: self._runs.revive((number, replicate)))
        self._queue_rows(number, replicate, [row])

    def history(self, number: int, replicate: Replicate, rows: Sequence[Metrics]) -> None:
        """Bring a run up to date from its checkpoint: rows already logged are skipped."""
        self._queue_rows(number, replicate, rows)

    def run_ended(self, number: int, replicate: Replicate, state: RunState, reason: str) -> None:
        """Close the run of a seed, and fold."""
        self._outbox.put(lambda: self._runs.end((number, replicate), state, reason))

    def trial_ended(
        self,
        number: int,
        state: RunState,
        reason: str,
        objective: float | None,
        per_run: Mapping[Replicate, float],
        ended: int,
    ) -> None:
        """Close a configuration's run with its objective: mean and sd over the runs that count, `per_run`.

        `ended` are all that it has made: those of a race, too, that do not count where fresh seeds judge.
        Mean and sd by epoch follow once no run can join in: here if all are complete, else in `finish`.
        """
        # The step of the objective is the number of runs by then.
        summary: dict[str, float | None] = {"epoch": ended, "objective": objective}
        if len(per_run) > 1:
            summary["objective_sd"] = statistics.stdev(per_run.values())
        stamped = _stamped([summary])
        self._outbox.put(lambda: self._runs.log_rows((number,), stamped))
        validated_on = ", ".join(run.words for run in per_run)
        self._outbox.put(lambda: self._runs.tag((number,), {"contrasweep.validated_on": validated_on}))
        if state == "complete":
            self._log_over_runs(number)
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

    def metrics(self, values: Metrics) -> None:
        """Final figures of the sweep, such as the test MAE, on its own run."""
        stamped = _stamped([{"epoch": 0, **values}])
        self._outbox.put(lambda: self._runs.log_rows(SWEEP, stamped))

    def artifact(self, key: RunKey, path: Path, folder: str | None = None) -> None:
        """Copy a file into a run's artifacts; `key` is (), (number,) or (number, replicate)."""
        self._outbox.put(lambda: self._runs.artifact(key, path, folder))

    def register(self, model: Path, tags: Mapping[str, str], card: Path) -> None:
        """Copy the folder of an MLflow model to the sweep's run and register it under the sweep's name, once.

        What is in the file `card` describes it, where there is one.
        """
        self._outbox.put(lambda: self._runs.register(model, tags, card))

    def flush(self, timeout_s: float) -> int:
        """Wait for MLflow, at most `timeout_s`; how many updates are undelivered."""
        return self._outbox.flush(timeout_s)

    def finish(self, state: RunState, timeout_s: float = 60.0) -> int:
        """Close every run of this sweep, and stop tracking; how many updates MLflow did not take in time."""
        for number in () if state == "stopped" else list(self._objectives):
            self._log_over_runs(number)
        self._outbox.put(lambda: self._runs.end_all(state))
        undelivered = self._outbox.flush(timeout_s)
        self._outbox.close()
        if undelivered:
            log.warning("%d updates did not reach MLflow", undelivered)
        return undelivered

    def _queue_rows(self, number: int, replicate: Replicate, rows: Sequence[Metrics]) -> None:
        for row in rows:
            if (value := row.get(self._objective)) is not None:
                self._objectives[number][replicate][int(row["epoch"] or 0)] = value
        with self._lock:
            self._unsent[number, replicate] += _stamped(rows)
        self._outbox.put(lambda: self._send_rows((number, replicate)))

    def _send_rows(self, key: RunKey) -> None:
        """Everything queued for one run in one call; later tasks for the same rows then find none."""
        with self._lock:
            rows = list(self._unsent[key])
        try:
            self._runs.log_rows(key, rows)
        except Exception as error:
            if is_refused(error):
                self._drop(key, len(rows))
            raise
        self._drop(key, len(rows))

    def _send_report(self) -> None:
        """The last report; later tasks for it then find none."""
        waiting = self._unsent_report
        if waiting is None:
            return
        page, summary = waiting
        self._runs.tag(SWEEP, {"mlflow.note.content": summary})
        self._runs.text(page.read_text(), "report.html")
        with self._lock:
            if self._unsent_report is waiting:
                self._unsent_report = None

    def _drop(self, key: RunKey, count: int) -> None:
        with self._lock:
            del self._unsent[key][:count]

    def _log_over_runs(self, number: int) -> None:
        stamped = _stamped(_over_runs(self._objective, list(self._objectives.pop(number, {}).values())))
        self._outbox.put(lambda: self._runs.log_rows((number,), stamped))


def _over_runs(metric: str, curves: Sequence[Mapping[int, float]]) -> list[Metrics]:
    """Mean and sd by epoch of the runs that got furthest: one cut short would put a step into the mean."""
    last = max((max(curve) for curve in curves), default=0)
    furthest = [curve for curve in curves if last in curve]
    epochs = sorted(set().union(*furthest))
    return [_mean_and_sd(metric, epoch, [c[epoch] for c in furthest if epoch in c]) for epoch in epochs]


def _mean_and_sd(metric: str, epoch: int, values: Sequence[float]) -> Metrics:
    row: dict[str, float | None] = {"epoch": epoch, f"{metric}_mean": statistics.fmean(values)}
    if len(values) > 1:
        row[f"{metric}_sd"] = statistics.stdev(values)
    return row


def _stamped(rows: Iterable[Metrics]) -> list[tuple[int, Metrics]]:
    # The time is fixed here, so that a batch sent twice is the same batch to MLflow.
    now_ms = _now_ms()
    return [(now_ms, dict(row)) for row in rows]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
