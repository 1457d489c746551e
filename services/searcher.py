"""Optuna under Tune, over ask and tell, in an order that does not depend on timing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces import Configuration
from services.record import FAILED, read_record, read_records, write_configuration
from services.spec import SearchConfig
from trainers.history import COMPLETE, PRUNED
from trainers.seeding import fold

MAX_FAILURES_IN_A_ROW = 3


class Listener(Protocol):
    """Hears of configurations as they start and end."""

    def started(self, number: int, configuration: Configuration) -> None:
        """Configuration `number` is about to run, or to go on."""
        ...

    def ended(self, number: int, state: str) -> None:
        """Configuration `number` ended: complete, pruned, failed, or running where it was paused."""
        ...


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """A sampler by its name in the spec: tpe, random, qmc or gp."""
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
    samplers = {"random": optuna.samplers.RandomSampler, "qmc": optuna.samplers.QMCSampler}
    return samplers[name](seed=seed)


class SweepSearcher(Searcher):
    """Asks Optuna for configurations, tells it how they ended, and then has the finalists run all their seeds.

    Configuration n is asked for once all up to n - `parallel` have ended, and exactly those have been
    told: what Optuna knows when it samples n never depends on which of several trials was faster. The
    sampler's seed is drawn from n, so nothing is lost with the process either. Optuna's storage holds
    the search; a configuration that was under way when the driver died is taken up again under its number.

    Args:
        study: Optuna's, named by the sweep id.
        space: draws a configuration from an Optuna trial.
        search: trials, parallel, sampler, seeds and racing of the spec.
        epochs: of a whole seed.
        sweep: the sweep's folder in the storage path.
        listener: hears of starts and ends.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Callable[[optuna.Trial], Configuration],
        search: SearchConfig,
        epochs: int,
        sweep: Path,
        listener: Listener,
    ) -> None:
        super().__init__(metric="state", mode="min")
        self._study, self._space, self._search = study, space, search
        self._epochs, self._sweep, self._listener = epochs, sweep, listener
        self._number_of: dict[str, int] = {}
        self._ended: set[int] = set()
        self._finalists: list[int] | None = None
        self._asked = sum(t.state != TrialState.WAITING for t in study.get_trials(deepcopy=False))
        self._closed = False
        self.aborted = ""
        under_way = [t.number for t in study.get_trials(states=(TrialState.RUNNING,))]
        self._adopted = [number for number in under_way if not self._adopt_if_over(number)]

    def close(self) -> None:
        """Suggest nothing more."""
        self._closed = True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next configuration for Tune; None while it has to wait; FINISHED at the end."""
        if self._closed:
            return str(Searcher.FINISHED)
        if self._adopted:
            return self._start(trial_id, self._adopted.pop(0), race=True)
        if self._has_more():
            return self._ask(trial_id)
        return self._next_finalist(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune says that a trial ended; how it ended is in the storage path."""
        number = self._number_of.pop(trial_id)
        record = read_record(self._sweep, number)
        if error and not (record and record.failure):
            reason = "its process died, again and again"
            write_configuration(self._sweep, number, self._configuration(number), failure=reason)
        state = self._state(number)
        if state in (COMPLETE, PRUNED, FAILED):
            self._ended.add(number)
        self._listener.ended(number, state)
        self._abort_if_hopeless()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, for the snapshot that Tune insists on and nobody restores: Optuna's storage is the state."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: Optuna's storage is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: Optuna's storage is the state."""

    def _ask(self, trial_id: str) -> dict[str, Any] | None:
        number = self._asked
        visible = number - self._search.parallel
        if any(open_number <= visible for open_number in self._number_of.values()):
            return None
        self._tell_up_to(visible)
        seed = 0 if self._search.sampler == "qmc" else fold("sampler", number)
        self._study.sampler = make_sampler(self._search.sampler, seed % 2**32)
        trial = self._study.ask()
        assert trial.number == number
        self._asked += 1
        return self._start(trial_id, number, race=True)

    def _start(self, trial_id: str, number: int, *, race: bool) -> dict[str, Any]:
        configuration = self._configuration(number)
        self._number_of[trial_id] = number
        self._listener.started(number, configuration)
        return {"number": number, "race": race, **vars(configuration)}

    def _configuration(self, number: int) -> Configuration:
        record = read_record(self._sweep, number)
        return record.configuration if record else self._space(self._trial(number))

    def _next_finalist(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._number_of:
            return None
        if self._finalists is None:
            self._tell_up_to(self._asked)
            self._finalists = [n for n in self._chosen_finalists() if self._state(n) == PRUNED]
        if not self._finalists:
            return str(Searcher.FINISHED)
        return self._start(trial_id, self._finalists.pop(0), race=False)

    def _chosen_finalists(self) -> list[int]:
        """The best few of the search; the choice is kept in the study, so that a resumed sweep makes no other."""
        if self._search.racing is None:
            return []
        if "finalists" not in self._study.user_attrs:
            candidates = [record for record in read_records(self._sweep) if not record.failure]
            candidates.sort(key=lambda record: record.objective(self._epochs))
            chosen = [record.number for record in candidates[: self._search.racing.finalists]]
            self._study.set_user_attr("finalists", chosen)
        return list(self._study.user_attrs["finalists"])

    def _has_more(self) -> bool:
        racing, asked = self._search.racing, self._asked
        if asked < self._search.trials or not (racing and racing.reinvest):
            return asked < self._search.trials
        whole = self._epochs * len(self._search.seeds)
        visible = [r for r in read_records(self._sweep) if r.number <= asked - self._search.parallel]
        spent = sum(len(h.epochs) for record in visible for h in record.histories.values())
        return spent + (asked - len(visible) + 1) * whole <= self._search.trials * whole

    def _tell_up_to(self, last: int) -> None:
        for number in sorted(n for n in self._ended if n <= last):
            self._tell(number)
            self._ended.remove(number)

    def _tell(self, number: int) -> None:
        record, trial = read_record(self._sweep, number), self._trial(number)
        assert record
        state = self._state(number)
        if record.reason():
            trial.set_user_attr("reason", record.reason())
        if state == COMPLETE:
            self._study.tell(trial, record.objective(self._epochs))
        elif state == PRUNED:
            trial.report(record.objective(self._epochs), sum(len(h.epochs) for h in record.histories.values()))
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def _state(self, number: int) -> str:
        record = read_record(self._sweep, number)
        assert record
        return record.state(self._search.seeds, self._epochs)

    def _adopt_if_over(self, number: int) -> bool:
        record = read_record(self._sweep, number)
        over = record is not None and self._state(number) in (COMPLETE, PRUNED)
        if over:
            self._ended.add(number)
        return over

    def _trial(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _abort_if_hopeless(self) -> None:
        records = [r for r in read_records(self._sweep) if r.failure or r.histories]
        if len(records) >= MAX_FAILURES_IN_A_ROW and all(record.failure for record in records):
            self.aborted = records[0].failure
            self.close()
