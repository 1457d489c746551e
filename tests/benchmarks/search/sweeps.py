"""A sweep of the project's own over a `World`: its searcher, referee and leaderboard; training alone is replaced.

Records are kept in memory, and configurations run one after the other, as the outcome does not depend on timing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from optuna.storages import InMemoryStorage
from ray.tune.search import Searcher

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.leaderboard import leaderboard
from contrasweep.services.records.trial_record import Raced, TrialRecord
from contrasweep.services.spec import methods
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.stores.optuna import open_study
from contrasweep.services.sweep import drawing, racing, sampling, searcher
from contrasweep.services.sweep.racing import Racer, Referee, Rule
from contrasweep.services.sweep.searcher import SweepSearcher
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, EpochMetrics, History, Verdict
from tests.benchmarks.search.worlds import LABEL_RANGES, Floats, World, draw, make_spec


@dataclass(frozen=True)
class Outcome:
    """What a search chose, what it said of it, and what it took: epochs, and configurations begun."""

    choice: Configuration | None
    reported: float
    epochs: int
    tried: int


class Curve(History):
    """A history of `length` epochs of a curve, which is not copied."""

    def __init__(self, seed: int, curve: Floats, length: int, state: str = RUNNING) -> None:
        self.seed, self.state, self.reason, self.taken, self.last = seed, state, "", "", False
        self._curve, self._least, self._length = curve, np.minimum.accumulate(curve), length

    @property
    def epochs(self) -> Any:
        """As many as there are, which are only counted."""
        return range(self._length)

    @epochs.setter
    def epochs(self, rows: Any) -> None:
        self._length = len(rows)

    @property
    def best_row(self) -> EpochMetrics:
        """The least, as it is measured."""
        return {"validation_mae": self.best}

    def best_until(self, epochs: int) -> float:
        """The least of the first `epochs`."""
        reached = min(epochs, self._length)
        return float(self._least[reached - 1]) if reached else float("inf")

    def up_to(self, epochs: int, state: str) -> "Curve":
        """See `History.up_to`."""
        return Curve(self.seed, self._curve, min(epochs, self._length), state)


class Memory:
    """Records of one sweep, as the storage path would have them."""

    def __init__(self) -> None:
        self.records: dict[int, TrialRecord] = {}

    def read(self, _: Path, number: int, __: SeedPlan) -> TrialRecord | None:
        """As `read_record`."""
        return self.records.get(number)

    def read_all(self, _: Path, __: SeedPlan) -> list[TrialRecord]:
        """As `read_records`."""
        return [self.records[number] for number in sorted(self.records)]

    @contextmanager
    def in_place(self, stream: int) -> Iterator[None]:
        """Have searcher and referee read from here, and samplers draw from another stream of random numbers."""
        make = sampling.make_sampler
        with (
            patch.object(searcher, "read_record", self.read),
            patch.object(searcher, "read_records", self.read_all),
            patch.object(racing, "read_record", self.read),
            patch.object(drawing, "make_sampler", lambda name, *of: make(name, of[0] + 1000 * stream, *of[1:])),
        ):
            yield


class Silent:
    """A listener that does not listen."""

    def trial_started(self, number: int, configuration: Configuration) -> None:
        """Nothing."""

    def trial_ended(self, number: int, state: str) -> None:
        """Nothing."""


class Sweep:
    """One sweep; `search` is the spec's."""

    def __init__(self, world: World, **search: Any) -> None:
        spec = make_spec(**search)
        self._world, self._plan, self._memory = world, spec.plan, Memory()
        first = methods.starts(spec, LABEL_RANGES)[: spec.search.trials]
        study = open_study("world", InMemoryStorage(), first, spec.search.objective)
        self._searcher = SweepSearcher(
            study,
            draw,
            spec.search,
            spec.plan,
            lambda configuration: spec.plan,
            Path("world"),
            Silent(),
        )
        race = spec.search.racing
        rule = Rule(spec.plan, race.rungs, race.confidence) if race else None
        self._referee = Referee(rule, spec.plan, spec.search.parallel, Path("world"))
        self._stops = sorted({*(race.rungs if race else ()), spec.plan.judged_epochs})
        self._epochs = 0

    def run(self, stream: int) -> Outcome:
        """To the end."""
        told: Any = None
        with self._memory.in_place(stream):
            while told != Searcher.FINISHED:
                told = self._searcher.suggest("one")
                if isinstance(told, dict):
                    self._train(Configuration(told["method"], told["params"], told["training"]), told)
                    self._searcher.on_trial_complete("one")
        return self._outcome()

    def _train(self, configuration: Configuration, told: dict[str, Any]) -> None:
        """As `run_trial`."""
        number, plan = told["number"], replace(self._plan, seeds=tuple(told["seeds"]))
        record = self._memory.records.get(number) or TrialRecord(number, configuration, "", {}, plan)
        if not told["race"] and record.raced is None:
            reached = {run: len(history.epochs) for run, history in record.histories.items()}
            record = replace(record, raced=Raced(record.plan.seeds, reached))
        self._memory.records[number] = record = replace(record, plan=plan)
        for run in plan.replicates:
            history = self._run(record, run, told["race"])
            if len(history.epochs) == len(self._world.curve(configuration, run.seed)) < plan.judged_epochs:
                self._memory.records[number] = replace(record, failure="Diverged: the loss is nan")
                return
            if history.state == PRUNED and told["race"]:
                return

    def _run(self, record: TrialRecord, run: Replicate, race: bool) -> Curve:
        """A run, judged where the rule judges."""
        curve = self._world.curve(record.configuration, run.seed)
        known = record.histories.get(run)
        begun = len(known.epochs) if known else 0
        history = Curve(run.seed, curve, min(self._plan.judged_epochs, len(curve)), COMPLETE)
        for stop in self._stops if race else ():
            if stop <= len(curve) and self._is_hopeless(record.number, run, curve, stop):
                history = Curve(run.seed, curve, stop, PRUNED)
                break
        record.histories[run] = history
        self._epochs += len(history.epochs) - begun
        return history

    def _is_hopeless(self, number: int, run: Replicate, curve: Floats, stop: int) -> bool:
        racer = self._referee._running.get(number, Racer({}, self._plan.judged_epochs, self._plan.replicates))
        told = {**racer.histories, run: Curve(run.seed, curve, stop - 1)}
        self._referee._running[number] = replace(racer, histories=told)
        return self._referee.judge(number, run, {"epoch": stop - 1}, True)[0] is Verdict.PRUNE

    def _outcome(self) -> Outcome:
        records = list(self._memory.records.values())
        finished = [record for record in records if not record.failure and record.values]
        if not finished:
            return Outcome(None, float("nan"), self._epochs, len(records))
        best = leaderboard(finished)[0]
        return Outcome(best.configuration, best.objective, self._epochs, len(records))
