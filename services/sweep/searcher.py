"""Optuna under Tune, over ask and tell, in an order that does not depend on timing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces import Configuration
from services.records.leaderboard import best
from services.records.trial_record import (
    FAILED,
    TrialRecord,
    is_refitted,
    read_record,
    read_records,
    write_configuration,
)
from services.spec.spec import RacingConfig, SearchConfig, SeedPlan
from services.sweep.sampling import REPEATS, Scratch, told
from trainers.history import COMPLETE, PRUNED, RUNNING

HOPELESS = 2
"""Failed configurations beside each method's published one after which, with none that did not, a sweep gives up."""
FINALISTS, PHASES = "finalists", "phases"
"""Attributes of a study: the finalists' numbers, and how far the sweep went each time before it was extended."""
EXHAUSTED = 20
"""Draws in a row that only repeat earlier configurations, after which there is nothing more to try."""


class Listener(Protocol):
    """Hears of configurations as they start and end."""

    def trial_started(self, number: int, configuration: Configuration) -> None:
        """Configuration `number` is about to run, or to go on."""
        ...

    def trial_ended(self, number: int, state: str) -> None:
        """Configuration `number` ended: complete, pruned, failed, or running where it was paused."""
        ...


class SweepSearcher(Searcher):
    """Asks Optuna for configurations, tells it how they ended, and then has the finalists run all their seeds.

    Configuration n is asked for once all up to n - `parallel` have ended, and drawn from exactly those, as their race
    ended: it never depends on which of several trials was faster, nor on whether the sweep was over before. The
    sampler's seed is drawn from n, so nothing is lost with the process either. Optuna's storage holds
    the search; a configuration that was under way when the driver died is taken up again under its number.
    A draw that repeats an earlier configuration is not run, since it could only come out the same: Optuna
    is told what the first one came to, and another is drawn.

    Args:
        study: Optuna's, named by the sweep id.
        space: draws a configuration from an Optuna trial.
        search: trials, parallel, sampler, seeds and racing of the spec.
        plan: what every configuration is to run.
        sweep: the sweep's folder in the storage path.
        listener: hears of starts and ends.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Callable[[optuna.Trial], Configuration],
        search: SearchConfig,
        plan: SeedPlan,
        sweep: Path,
        listener: Listener,
    ) -> None:
        super().__init__(metric="state", mode="min")
        self._study, self._space, self._search = study, space, search
        study.sampler = optuna.samplers.RandomSampler()  # Scratch samples; asking alone draws nothing
        self._plan, self._sweep, self._listener = plan, sweep, listener
        self._number_of: dict[str, int] = {}
        self._finalists: list[int] | None = None
        asked = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]
        self._asked = len(asked)
        self._closed = False
        self.aborted: TrialRecord | None = None
        self._passed_over: set[int] = set()
        self._drawn: dict[int, Configuration] = {}
        self._raced: dict[int, TrialRecord | None] = {}
        for trial in asked:
            if REPEATS in trial.user_attrs and trial.state != TrialState.RUNNING:
                self._passed_over.add(trial.number)
            else:
                self._draw(trial.number)
        self._adopted = [number for number in self._untold() if not self._is_over(number)]

    def close(self) -> None:
        """Suggest nothing more."""
        self._closed = True

    def settle(self) -> None:
        """Tell Optuna how every configuration stands: none will go on, in this process or another."""
        for number in self._untold():
            self._tell(number, read_record(self._sweep, number, self._plan))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next configuration for Tune; None while it has to wait; FINISHED at the end."""
        if self._closed:
            return str(Searcher.FINISHED)
        if self._adopted:
            number = self._adopted.pop(0)
            return self._start(trial_id, number, self._plan_of(number).seeds, race=True)
        if self._has_more():
            return self._ask(trial_id)
        return self._next_finalist(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune says that a trial ended; how it ended is in the storage path."""
        number = self._number_of.pop(trial_id)
        record = read_record(self._sweep, number, self._plan)
        if error and not (record and record.failure):
            reason = "its process died, again and again"
            write_configuration(self._sweep, number, self._drawn[number], self._plan_of(number), reason)
        self._listener.trial_ended(number, self._state(number))
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
        assert self._study.ask().number == number
        self._asked += 1
        return self._start(trial_id, number, self._plan.seeds, race=True) if self._draw(number) else None

    def _draw(self, number: int) -> bool:
        """Whether configuration `number` is a new one; one that repeats another is told and passed over."""
        record = read_record(self._sweep, number, self._plan)
        configuration = record.configuration if record else self._sampled(number)
        for earlier, drawn in self._drawn.items():
            if record is None and drawn == configuration:
                self._pass_over(number, earlier)
                return False
        self._drawn[number] = configuration
        return True

    def _sampled(self, number: int) -> Configuration:
        """What is drawn as configuration `number`, whenever it is asked: see `Scratch`.

        After a repeat it is drawn at random: a sampler that is sure of the best would draw it for ever.
        """
        name = "random" if number - 1 in self._passed_over else self._search.sampler
        visible = [n for n in self._drawn if n <= number - self._search.parallel]
        scratch = Scratch(self._study, number, {n: self._as_raced(n) for n in visible}, name)
        configuration = self._space(scratch.trial)
        scratch.keep()
        return configuration

    def _pass_over(self, number: int, earlier: int) -> None:
        self._passed_over.add(number)
        self._note(number, REPEATS, earlier)
        if earlier <= number - self._search.parallel:
            self._tell(number, self._as_raced(earlier))
        else:
            self._note(number, "reason", f"repeats configuration {earlier}, which has not ended")
            self._study.tell(number, state=TrialState.FAIL)

    def _start(
        self, trial_id: str, number: int, seeds: tuple[int, ...], *, race: bool, refit: bool = False
    ) -> dict[str, Any]:
        configuration = self._drawn[number]
        self._number_of[trial_id] = number
        self._raced.pop(number, None)  # one whose process died is tried again
        self._listener.trial_started(number, configuration)
        return {"number": number, "seeds": list(seeds), "race": race, "refit": refit, **vars(configuration)}

    def _next_finalist(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._finalists is None:
            if self._number_of:
                return None
            self._finalists = [n for n in self._chosen_finalists() if self._lacks_seeds(n)]
        if not self._finalists:
            return self._next_refit(trial_id)
        return self._start(trial_id, self._finalists.pop(0), self._plan.seeds, race=False)

    def _next_refit(self, trial_id: str) -> dict[str, Any] | str | None:
        """The best of all, once more on all but the test split where that is wanted; who fails is the best no more."""
        if self._search.refit and self._number_of:
            return None
        first = best(read_records(self._sweep, self._plan)) if self._search.refit else None
        if first is None or is_refitted(self._sweep, first):
            return str(Searcher.FINISHED)
        return self._start(trial_id, first.number, self._plan.seeds, race=False, refit=True)

    def _chosen_finalists(self) -> list[int]:
        """The best few of the search; the choice is kept in the study, so that a resumed sweep makes no other.

        Seeds that came later are for them alone, or for every complete configuration.
        """
        if self._study.user_attrs.get(FINALISTS) is None:
            candidates = [record for record in read_records(self._sweep, self._plan) if not record.failure]
            candidates.sort(key=lambda record: record.objective)
            chosen = [record.number for record in candidates[: self._finalists_wanted()]]
            if self._search.new_seeds == "all":
                chosen += [r.number for r in candidates if r.state == COMPLETE and r.number not in chosen]
            self._study.set_user_attr(FINALISTS, chosen)
        return list(self._study.user_attrs[FINALISTS])

    def _finalists_wanted(self) -> int:
        """How many there are; without racing none, or as many as by default once the sweep was extended."""
        if self._search.racing:
            return self._search.racing.finalists
        return RacingConfig().finalists if PHASES in self._study.user_attrs else 0

    def _lacks_seeds(self, number: int) -> bool:
        record = read_record(self._sweep, number, self._plan)
        return record is None or not {*self._plan.replicates} <= {*record.whole}

    def _plan_of(self, number: int) -> SeedPlan:
        """What a configuration is to run."""
        record = read_record(self._sweep, number, self._plan)
        return record.plan if record else self._plan

    def _has_more(self) -> bool:
        racing, tried = self._search.racing, len(self._drawn)
        if self._asked - max(self._drawn, default=-1) > EXHAUSTED:
            return False
        if tried < self._search.trials or not (racing and racing.reinvest):
            return tried < self._search.trials
        whole, earlier, last = self._plan.epochs, self._plan.earlier_epochs, self._asked - self._search.parallel
        visible = [record for number in self._drawn if number <= last and (record := self._as_raced(number))]
        spent = sum(earlier + len(history.epochs) for record in visible for history in record.histories.values())
        return spent + (tried - len(visible) + 1) * whole <= self._search.trials * whole

    def _tell_up_to(self, last: int) -> None:
        """Tell Optuna how configurations ended, all that have; `settle` tells of those pruned, who may be finalists."""
        for number in self._untold():
            if number <= last and (record := self._as_raced(number)) and record.state in (COMPLETE, FAILED):
                self._tell(number, record)

    def _tell(self, number: int, record: TrialRecord | None) -> None:
        state, value, reached = told(record)
        if state is not TrialState.COMPLETE:
            self._note(number, "reason", (record.reason or "the sweep ended before it") if record else "it never began")
        for step, objective in reached.items():
            self._study._storage.set_trial_intermediate_value(self._trial_id(number), step, objective)
        self._study.tell(number, value, state=state)

    def _note(self, number: int, key: str, value: Any) -> None:
        self._study._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def _trial_id(self, number: int) -> int:
        return self._study.get_trials(deepcopy=False)[number]._trial_id

    def _as_raced(self, number: int) -> TrialRecord | None:
        """How the race of a configuration left it that has ended, and so will not change any more."""
        if number not in self._raced:
            record = read_record(self._sweep, number, self._plan)
            self._raced[number] = record.as_raced() if record else None
        return self._raced[number]

    def _state(self, number: int) -> str:
        record = read_record(self._sweep, number, self._plan)
        return record.state if record else RUNNING

    def _is_over(self, number: int) -> bool:
        """Whether a configuration that Optuna thinks is running has nothing left to do.

        One that failed by itself would fail again; one whose process died is tried again.
        """
        record = read_record(self._sweep, number, self._plan)
        failed = record is not None and record.failed_by_itself
        return failed or self._state(number) in (COMPLETE, PRUNED)

    def _untold(self) -> list[int]:
        """Configurations that Optuna thinks are running."""
        return [t.number for t in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]

    def _abort_if_hopeless(self) -> None:
        """Give up where the first few, by their numbers, have failed, each method's and each named point among them."""
        search = self._search
        few = min(len(search.points) + len(search.spaces) + HOPELESS, search.trials)
        first = [read_record(self._sweep, number, self._plan) for number in sorted(self._drawn)[:few]]
        failed = [record for record in first if record and record.failure]
        if len(failed) == few:
            self.aborted = failed[0]
            self.close()
