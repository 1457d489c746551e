"""What the driver passes on to the tracking store and to the progress meter."""

import io
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from contrasweep.search_spaces import Configuration
from contrasweep.services.screen.progress import Meter
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.monitor import Monitor
from contrasweep.services.sweep.racing import Event
from contrasweep.trainers.history import PRUNED, START, of_stage
from tests.services.past import EPOCHS, leave, rows, spec

SPEC = spec(trials=4, seeds=[0, 1])
FIRST, SECOND = SPEC.plan.replicates


class Told:
    """A tracker that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, *values))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] in names]


class Shown(Meter):
    """A meter that remembers the last update."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()), "sweeping", None)
        self.last: tuple[float, float, str] = (0, 0, "")

    def update(self, done: float, total: float, words: str = "", unit: str = "") -> None:
        self.last = (done, total, words)


def monitoring(sweep: Path, study: SweepSpec = SPEC) -> tuple[Monitor, Told, Shown]:
    told, shown = Told(), Shown()
    plan_of = partial(study.plan_of, folds=0)
    return Monitor(study.search, study.plan, plan_of, sweep, cast(Tracker, told), shown), told, shown


def test_a_configuration_from_start_to_end(tmp_path: Path) -> None:
    monitor, told, shown = monitoring(tmp_path)
    monitor.trial_started(0, Configuration("dynlocrep", {"lam": 0.5}, {"lr": 0.1}))
    assert told.calls == [("trial_started", 0, "dynlocrep", {"lam": 0.5, "lr": 0.1})]
    row = rows([5.0])[0]
    monitor.follow([Event(0, FIRST, row)])
    assert told.calls[1:] == [("epoch", 0, FIRST, row)]
    assert shown.last == (1, 4 * 2 * EPOCHS, "0/4 trials · 0 seed runs")
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 4})
    monitor.trial_ended(0, "complete")
    assert told.of("run_ended") == [("run_ended", 0, FIRST, "complete", ""), ("run_ended", 0, SECOND, "complete", "")]
    assert told.of("trial_ended", "best") == [
        ("trial_ended", 0, "complete", "", 5.5, {FIRST: 5.0, SECOND: 6.0}, 2),
        ("best", (0, 5.5)),
    ]
    assert "dynlocrep" in told.of("leaderboard")[0][1]
    assert shown.last == (8, 32, "1/4 trials · 2 seed runs · best 5.500")


def test_what_a_run_starts_from_is_tracked_and_counts_where_it_is_a_configuration(tmp_path: Path) -> None:
    monitor, told, shown = monitoring(tmp_path)
    row = of_stage(START, rows([5.0], first=2)[0])
    monitor.follow([Event(1, FIRST, row)])
    assert told.calls == [("epoch", 1, FIRST, row)] and shown.last[0] == 0


def test_one_that_was_stopped(tmp_path: Path) -> None:
    monitor, told, shown = monitoring(tmp_path)
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 2}, state=PRUNED, reason="3 behind")
    monitor.trial_ended(0, "pruned")
    assert told.of("run_ended") == [
        ("run_ended", 0, FIRST, "complete", ""),
        ("run_ended", 0, SECOND, "pruned", "3 behind"),
    ]
    assert told.of("trial_ended", "best") == [("trial_ended", 0, "pruned", "3 behind", 5.0, {FIRST: 5.0}, 1)]
    assert shown.last == (8, 32, "1/4 trials · 1 seed run · 1 saved by pruning")


def test_a_finalist_has_no_reason_any_more(tmp_path: Path) -> None:
    monitor, told, _ = monitoring(tmp_path)
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 4}, state=PRUNED, reason="3 behind")
    monitor.trial_ended(0, "complete")
    assert told.of("trial_ended") == [("trial_ended", 0, "complete", "", 5.5, {FIRST: 5.0, SECOND: 6.0}, 2)]


def test_one_that_failed_and_one_that_paused(tmp_path: Path) -> None:
    monitor, told, _ = monitoring(tmp_path)
    leave(tmp_path, 0, {0: [5.0]}, failure="Diverged: nan")
    leave(tmp_path, 1, {0: [5.0]})
    monitor.trial_ended(0, "failed")
    monitor.trial_ended(1, "running")
    assert told.of("trial_ended") == [
        ("trial_ended", 0, "failed", "Diverged: nan", None, {}, 0),
        ("trial_ended", 1, "stopped", "", None, {}, 0),
    ]


def test_what_happened_before_a_resume_is_brought_up_to_date(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 4})
    leave(tmp_path, 1, {0: [5.0] * 3})
    monitor, told, shown = monitoring(tmp_path)
    assert [(call[1], call[2], len(call[3])) for call in told.of("history")] == [
        (0, FIRST, 4),
        (0, SECOND, 4),
        (1, FIRST, 3),
    ]
    monitor.follow([])
    assert shown.last == (11, 32, "1/4 trials · 2 seed runs · best 5.500")


def test_the_best_is_among_those_that_ran_all_seeds(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [7.0] * 4, 1: [7.0] * 4})
    leave(tmp_path, 1, {0: [1.0] * 4})
    leave(tmp_path, 2, {0: [6.0] * 4, 1: [6.0] * 4})
    monitor, _, _ = monitoring(tmp_path)
    best = monitor.best()
    assert best and best.number == 2


@pytest.fixture
def impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_ends_and_events_come_from_two_threads(tmp_path: Path) -> None:
    for number in range(15):
        leave(tmp_path, number, {0: [5.0] * 4, 1: [6.0] * 4})
    monitor, _, shown = monitoring(tmp_path / "empty", SPEC)
    monitor._sweep = tmp_path
    over, broken = threading.Event(), []

    def follow() -> None:
        number = 100
        try:
            while not over.is_set():
                number += 1
                monitor.follow([Event(number, FIRST, rows([5.0])[0])])
        except RuntimeError as error:
            broken.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    for number in range(15):
        monitor.trial_ended(number, "complete")
    over.set()
    thread.join()
    assert broken == []
    assert shown.last[2].startswith("15/15 trials")


def test_each_configuration_counts_by_its_own_epochs(tmp_path: Path) -> None:
    """Of 4 configurations with 2 seeds one trains for 4 epochs, one for 8; the others are taken to be between them."""
    choices = {"length": {"short": {}, "long": {"training": {"epochs": 2 * EPOCHS}}}}
    monitor, _, shown = monitoring(tmp_path, spec(trials=4, seeds=[0, 1], choices=choices))
    for number, option in enumerate(("short", "long")):
        monitor.trial_started(number, Configuration("dynlocrep", {}, {}, {"length": option}))
    row = rows([5.0] * EPOCHS)[-1]
    monitor.follow([Event(0, Replicate(0), row), Event(1, Replicate(0), row)])
    assert shown.last[:2] == (2 * EPOCHS, 2 * EPOCHS + 4 * EPOCHS + 2 * 3 * EPOCHS)
    assert monitor.counts().seed_runs == 1, "the long one's is not whole"
