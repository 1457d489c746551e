"""What is told to MLflow of a sweep: the updates, each as a task that can be repeated."""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.stores.mlflow import SWEEP, Metrics, RunKey, RunState, SweepRuns


class Telling:
    """What is told of one sweep to its `runs` on the server, through `put`, which does a task at once or later.

    On resume the runs are found again by their tag `contrasweep.key` ("<sweep>/<trial>/<replicate>"), and no
    (run, metric, step) is logged twice. `objective` is the metric that configurations are compared by.
    """

    def __init__(self, runs: SweepRuns, objective: str, put: Callable[[Callable[[], None]], None]) -> None:
        self._runs, self._objective, self._put = runs, objective, put
        self._lock = threading.Lock()
        self._unsent: defaultdict[RunKey, list[tuple[int, Metrics]]] = defaultdict(list)
        self._objectives: defaultdict[int, dict[Replicate, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        self._unsent_report: tuple[Path, str] | None = None
        self._registration: Callable[[], None] | None = None

    def start(
        self,
        spec_yaml: str,
        params: Mapping[str, str],
        digests: Mapping[str, str],
        user: str = "",
        running: bool = True,
    ) -> None:
        """Open the sweep's run, or open it again: its spec as an artifact, its parameters, digests as tags.

        `user` is who submitted it. One that is not `running` keeps how it ended, if it is there.
        """
        tags = {f"contrasweep.digest.{name}": digest for name, digest in digests.items()}
        tags |= {"mlflow.source.name": "contrasweep"} | ({"mlflow.user": user} if user else {})
        self._put(lambda: self._runs.open(SWEEP, "", params, tags, running))
        self._put(lambda: self._runs.text(spec_yaml, "spec.yaml"))

    def trial_started(self, number: int, method: str, params: Mapping[str, Any], running: bool = True) -> None:
        """Open the run of configuration `number`, or open it again; as in `start`."""
        name, params = f"{number:04d} {method}", {"method": method, **params}
        self._put(lambda: self._runs.open((number,), name, params, {}, running))

    def epoch(self, number: int, replicate: Replicate, row: Metrics) -> None:
        """One epoch of a run: `row` holds "epoch" and metrics; those that are None are left out."""
        self._put(lambda: self._runs.revive((number, replicate)))
        self._queue_rows(number, replicate, [row])

    def history(self, number: int, replicate: Replicate, rows: Sequence[Metrics]) -> None:
        """Bring a run up to date from its checkpoint: rows already logged are skipped."""
        self._queue_rows(number, replicate, rows)

    def run_ended(self, number: int, replicate: Replicate, state: RunState, reason: str) -> None:
        """Close the run of a seed, and fold."""
        self._put(lambda: self._runs.end((number, replicate), state, reason))

    def trial_judged(
        self, number: int, complete: bool, objective: float | None, per_run: Mapping[Replicate, float], ended: int
    ) -> None:
        """A configuration's objective: mean and sd over the runs that count, `per_run`.

        `ended` are all that it has made: those of a race, too, that do not count where fresh seeds judge.
        Mean and sd by epoch follow once no run can join in: here if all are `complete`, else in `close`.
        """
        # The step of the objective is the number of runs by then.
        summary: dict[str, float | None] = {"epoch": ended, "objective": objective}
        if len(per_run) > 1:
            summary["objective_sd"] = statistics.stdev(per_run.values())
        stamped = _stamped([summary])
        self._put(lambda: self._runs.log_rows((number,), stamped))
        validated_on = ", ".join(run.words for run in per_run)
        self._put(lambda: self._runs.tag((number,), {"contrasweep.validated_on": validated_on}))
        if complete:
            self._log_over_runs(number)

    def trial_ended(
        self,
        number: int,
        state: RunState,
        reason: str,
        objective: float | None,
        per_run: Mapping[Replicate, float],
        ended: int,
    ) -> None:
        """Close a configuration's run with its objective, as in `trial_judged`."""
        self.trial_judged(number, state == "complete", objective, per_run, ended)
        self._put(lambda: self._runs.end((number,), state, reason))

    def best(self, *bests: tuple[int, float]) -> None:
        """The configurations that were the best, each with its objective; the last one is the best now."""
        timestamp_ms = _now_ms()
        self._put(lambda: self._runs.best(bests, timestamp_ms))

    def leaderboard(self, text: str) -> None:
        """The leaderboard as it stands, as an artifact."""
        self._put(lambda: self._runs.text(text, "leaderboard.txt"))

    def report(self, page: Path, summary: str) -> None:
        """The sweep's HTML report, as its file is by the time MLflow takes it, and a description in Markdown."""
        with self._lock:
            self._unsent_report = (page, summary)
        self._put(self._send_report)

    def metrics(self, values: Metrics, phase: int = 0) -> None:
        """Final figures of the sweep, such as the test MAE, on its own run; `phase` says how often it was extended."""
        stamped = _stamped([{"epoch": phase, **values}])
        self._put(lambda: self._runs.log_rows(SWEEP, stamped))

    def artifact(self, key: RunKey, path: Path, folder: str | None = None) -> None:
        """Copy a file into a run's artifacts; `key` is (), (number,) or (number, replicate)."""
        self._put(lambda: self._runs.artifact(key, path, folder))

    def register(self, model: Path, tags: Mapping[str, str], card: Path) -> None:
        """Copy the folder of an MLflow model to the sweep's run and register it under the sweep's name, once.

        What is in the file `card` describes it, where there is one. It comes last, in `close`, so that a registry which
        takes no models holds nothing else up.
        """
        self._registration = lambda: self._runs.register(model, tags, card)

    def close(self, state: RunState) -> None:
        """Close every run of this sweep, and register its model; the next start opens what goes on."""
        for number in () if state == "stopped" else list(self._objectives):
            self._log_over_runs(number)
        self._put(lambda: self._runs.end_all(state))
        if self._registration:
            self._put(self._registration)

    def _queue_rows(self, number: int, replicate: Replicate, rows: Sequence[Metrics]) -> None:
        for row in rows:
            if (value := row.get(self._objective)) is not None:
                self._objectives[number][replicate][int(row["epoch"] or 0)] = value
        with self._lock:
            self._unsent[number, replicate] += _stamped(rows)
        taken: list[tuple[int, Metrics]] = []
        self._put(lambda: self._send_rows((number, replicate), taken))

    def _send_rows(self, key: RunKey, taken: list[tuple[int, Metrics]]) -> None:
        """Everything queued for one run in one call, `taken` by this task; later tasks for it then find none."""
        with self._lock:
            taken += self._unsent.pop(key, [])
        self._runs.log_rows(key, taken)

    def _shed(self) -> None:
        """Forget what waits to be sent."""
        with self._lock:
            self._unsent.clear()

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

    def _log_over_runs(self, number: int) -> None:
        stamped = _stamped(_over_runs(self._objective, list(self._objectives.pop(number, {}).values())))
        self._put(lambda: self._runs.log_rows((number,), stamped))


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
