"""Optuna under Tune, over ask and tell, in an order that does not depend on timing."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.leaderboard import best, competes
from contrasweep.services.records.trial_record import (
    FAILED,
    TrialRecord,
    is_refitted,
    read_record,
    read_records,
    write_configuration,
)
from contrasweep.services.spec.spec import RacingConfig, SearchConfig, SeedPlan
from contrasweep.services.sweep.drawing import Drawing
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.putting_back import PUT_BACK
from contrasweep.services.sweep.sampling import REPEATS, Scratch, as_attributes, told
from contrasweep.services.sweep.spaces import Draw
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING

HOPELESS = 2
"""Failed configurations beside each method's published one after which, with none that did not, a sweep gives up."""
FINALISTS, PHASES = "finalists", "phases"
"""Attributes of a study: the finalists' numbers, and how far the sweep went each time before it was extended."""
FRESH = "fresh"
"""Attribute of a study: the objectives of finalists that were judged on fresh seeds, by number."""


class Listener(Protocol):
    """Hears of configurations as they start and end."""

    def trial_started(self, number: int, configuration: Configuration) -> None:
        """Configuration `number` is about to run, or to go on."""
        ...

    def trial_ended(self, number: int, state: str) -> None:
        """Configuration `number` ended: complete, pruned, failed, or running where it was paused."""
        ...


class SweepSearcher(Searcher):
    """Asks Optuna for configurations, tells it how they ended, and then has the finalists run their seeds.

    Configuration n is asked for once all up to n - `parallel` have ended, and drawn from exactly those, as their race
    ended: it never depends on which of several trials was faster, nor on whether the sweep was over before. The
    sampler's seed is drawn from n, so nothing is lost with the process either. Optuna's storage holds
    the search; a configuration that was under way when the driver died is taken up again under its number.
    A draw that repeats an earlier configuration is never kept, since it could only come out the same: another takes its
    number.

    Args:
        study: Optuna's, named by the sweep id.
        draw: draws a configuration from an Optuna trial, out of some of the search's spaces.
        search: trials, parallel, sampler, seeds and racing of the spec.
        plan: what a configuration is to run where nothing is chosen.
        plan_of: what one is to run.
        sweep: the sweep's folder in the storage path.
        listener: hears of starts and ends.
        learned: what earlier sweeps came to, which the sampler sees before this one.
    """

    def __init__(
        self,
        study: optuna.Study,
        draw: Draw,
        search: SearchConfig,
        plan: SeedPlan,
        plan_of: Callable[[Configuration], SeedPlan],
        sweep: Path,
        listener: Listener,
        learned: Sequence[Learned] = (),
    ) -> None:
        super().__init__(metric="state", mode="min")
        self._study, self._search, self._drawing = study, search, Drawing(study, draw, search, learned)
        study.sampler = optuna.samplers.RandomSampler()  # Scratch samples; asking alone draws nothing
        self._plan, self._plan_for, self._sweep, self._listener = plan, plan_of, sweep, listener
        self._number_of: dict[str, int] = {}
        self._finals: list[tuple[int, SeedPlan]] | None = None
        asked = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.WAITING]
        self._asked = len(asked)
        self._closed = self._exhausted = False
        self.aborted: TrialRecord | None = None
        self._drawn: dict[int, Configuration] = {}
        self._raced: dict[int, TrialRecord | None] = {}
        for trial in asked:
            if REPEATS not in trial.user_attrs:
                self._take_up(trial.number)
            elif trial.state == TrialState.RUNNING:
                study.tell(trial.number, state=TrialState.FAIL)
        untold = self._untold()
        self._adopted = [n for n in sorted(self._drawn) if not self._is_over(n, told=n not in untold)]

    def close(self) -> None:
        """Suggest nothing more."""
        self._closed = True

    def unfinished(self) -> int:
        """How many configurations are not what they are to be, where none runs any more."""
        begun = [number for number in self._drawn if self._state(number) == RUNNING]
        if begun or self._has_more():
            return max(len(begun) + max(self._search.trials - len(self._drawn), 0), 1)
        lacking = [number for number, plan in self._planned_finals() if self._lacks(number, plan)]
        return len(lacking) or int(self._winner_lacks() is not None)

    def settle(self) -> None:
        """Tell Optuna how every configuration stands: none will go on, in this process or another."""
        for number in self._untold():
            record = read_record(self._sweep, number, self._plan)
            raced = record.as_raced() if record and record.is_fresh else None
            self._tell(number, raced if raced and raced.state == COMPLETE else record.as_judged() if record else None)
        judged = [record.as_judged() for record in read_records(self._sweep, self._plan)]
        if fresh := {str(one.number): one.score for one in judged if one.is_fresh and not one.failure}:
            self._study.set_user_attr(FRESH, fresh)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next configuration for Tune; None while it has to wait; FINISHED at the end."""
        if self._closed:
            return str(Searcher.FINISHED)
        if self._adopted:
            if self._is_early(self._adopted[0]):
                return None
            number = self._adopted.pop(0)
            return self._start(trial_id, number, self._plan_of(number).seeds, race=True)
        more = self._has_more()
        if more is None:
            return None
        return self._ask(trial_id) if more else self._next_finalist(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune says that a trial ended; how it ended is in the storage path."""
        number = self._number_of.pop(trial_id)
        record = read_record(self._sweep, number, self._plan)
        if error and not (record and record.failure):
            reason = "its process died, again and again"
            write_configuration(self._sweep, number, self._drawn[number], self._plan_of(number), reason)
        state = self._state(number)
        if state == RUNNING:  # it was held up, and so are all: what is drawn next depends on how it ends
            self.close()
        if read_record(self._sweep, number, self._plan):  # where storage is full it may not have begun
            self._listener.trial_ended(number, state)
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
        if self._is_early(number):
            return None
        self._tell_up_to(number - self._search.parallel)
        scratch, configuration = self._draw(number)
        if configuration in self._drawn.values():
            self._exhausted = True
            return None
        assert self._study.ask().number == number
        scratch.keep(configuration.method)
        self._asked += 1
        self._drawn[number] = configuration
        return self._start(trial_id, number, self._plan.seeds, race=True)

    def _is_early(self, number: int) -> bool:
        """Whether something is under way that a configuration is drawn from, or judged by."""
        return any(under_way <= number - self._search.parallel for under_way in self._number_of.values())

    def _take_up(self, number: int) -> None:
        """Remember a configuration that was asked for; draw it where the driver died over that, or Optuna lost it."""
        record = read_record(self._sweep, number, self._plan)
        if record is None or PUT_BACK in self._study.get_trials(deepcopy=False)[number].user_attrs:
            scratch, configuration = self._draw(number)
            if record is None or configuration == record.configuration:
                scratch.keep(configuration.method)
        self._drawn[number] = record.configuration if record else configuration

    def _draw(self, number: int) -> tuple[Scratch, Configuration]:
        """What is drawn as configuration `number`, from all that ended before it."""
        known = {n: self._as_raced(n) for n in self._drawn if n <= number - self._search.parallel}
        return self._drawing.next(number, self._drawn, known)

    def _start(
        self, trial_id: str, number: int, seeds: tuple[int, ...], *, race: bool, refit: bool = False
    ) -> dict[str, Any]:
        configuration = self._drawn[number]
        self._number_of[trial_id] = number
        self._raced.pop(number, None)  # one whose process died is tried again
        self._listener.trial_started(number, configuration)
        return {"number": number, "seeds": list(seeds), "race": race, "refit": refit, **vars(configuration)}

    def _next_finalist(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._finals is None:
            if self._number_of:
                return None
            self._finals = [(number, plan) for number, plan in self._planned_finals() if self._lacks(number, plan)]
        if not self._finals:
            return self._next_of_winner(trial_id)
        number, plan = self._finals.pop(0)
        return self._start(trial_id, number, plan.seeds, race=False)

    def _planned_finals(self) -> list[tuple[int, SeedPlan]]:
        """Who runs what after the search: the finalists come first, to whom alone fresh seeds are given."""
        wanted = self._finalists_wanted()
        chosen = enumerate(self._chosen_finalists())
        return [(number, self._plan.finals if place < wanted else self._plan) for place, number in chosen]

    def _next_of_winner(self, trial_id: str) -> dict[str, Any] | str | None:
        """The best of all, once more: on seeds that nothing was chosen by where finalists ran fresh ones, and, where
        that is wanted, on all but the test split. Who fails is the best no more.
        """
        if self._number_of and (self._search.refit or self._plan.fresh):
            return None
        lacks = self._winner_lacks()
        if lacks is None:
            return str(Searcher.FINISHED)
        number, seeds, refit = lacks
        return self._start(trial_id, number, seeds, race=False, refit=refit)

    def _winner_lacks(self) -> tuple[int, tuple[int, ...], bool] | None:
        """The best of all, the seeds that it is still to run, and whether on all but the test split."""
        if not (self._search.refit or self._plan.fresh):
            return None
        first = best(read_records(self._sweep, self._plan))
        if first and first.is_fresh and first.plan.seeds != self._plan.reported:
            return first.number, self._plan.reported, False
        if first and self._search.refit and not is_refitted(self._sweep, first):
            return first.number, first.plan.seeds, True
        return None

    def _chosen_finalists(self) -> list[int]:
        """The best few of the search; the choice is kept in the study, so that a resumed sweep makes no other.

        Seeds that came later are for them alone, or for every complete configuration.
        """
        if self._study.user_attrs.get(FINALISTS) is None:
            records = read_records(self._sweep, self._plan)
            candidates = self._candidates(records)
            chosen = [record.number for record in candidates[: self._finalists_wanted()]]
            if self._search.new_seeds == "all":
                whole = [record.number for record in records if competes(record) and not record.is_fresh]
                chosen += [number for number in whole if number not in chosen]
            self._study.set_user_attr(FINALISTS, chosen)
        return list(self._study.user_attrs[FINALISTS])

    def _candidates(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Those who may win, the best of the search first; by fresh seeds nobody comes into the finals again."""
        able = (record for record in records if not (record.failure or record.infeasible))
        raced = [record.as_raced() if self._plan.fresh else record for record in able]
        return sorted(raced, key=lambda record: record.objective)

    def _finalists_wanted(self) -> int:
        """How many there are; without racing none, or as many as by default once the sweep was extended."""
        if self._search.racing:
            return self._search.racing.finalists
        return RacingConfig().finalists if PHASES in self._study.user_attrs else 0

    def _lacks(self, number: int, plan: SeedPlan) -> bool:
        record = read_record(self._sweep, number, self._plan)
        if record is None or record.failed_by_itself:
            return record is None
        is_theirs = record.is_reported or {*plan.seeds} <= {*record.plan.seeds}
        return not (is_theirs and {*plan.replicates} <= {*record.ended})

    def _plan_of(self, number: int) -> SeedPlan:
        """What a configuration is to run."""
        record = read_record(self._sweep, number, self._plan)
        return record.plan if record else self._plan_for(self._drawn[number])

    def _has_more(self) -> bool | None:
        """Whether another configuration is tried; None where that depends on what those under way come to."""
        racing, tried = self._search.racing, len(self._drawn)
        if self._exhausted:
            return False
        if tried < self._search.trials or not (racing and racing.reinvest):
            return tried < self._search.trials
        return self._affords_another() or (None if self._number_of else False)

    def _affords_another(self) -> bool:
        """Whether the epochs of all `trials`, had none been stopped, are enough for one more and for the finals.

        What is under way is taken to run whole, so that what is affordable now still is when that has ended: in the end
        the answer is the same whatever the timing. One that becomes a finalist costs no more than a whole one.
        """
        whole = {number: self._plan_for(drawn).epochs for number, drawn in self._drawn.items()}
        under_way, most = {*self._number_of.values()}, max(whole.values())
        ended = [record for n in whole if n not in under_way and (record := self._as_raced(n))]
        spent = sum(map(_epochs_of, ended)) + sum(whole[number] for number in under_way)
        if self._search.judges_fresh:
            finals = self._search.judged_fresh * most
        else:
            finalists = self._candidates(ended)[: self._finalists_wanted()]
            finals = sum(whole[record.number] - _epochs_of(record) for record in finalists)
        return spent + most + finals <= sum(list(whole.values())[: self._search.trials])

    def _tell_up_to(self, last: int) -> None:
        """Tell Optuna how configurations ended, all that have; `settle` tells of those pruned, who may be finalists."""
        for number in self._untold():
            if number <= last and (record := self._as_raced(number)) and record.state in (COMPLETE, FAILED):
                self._tell(number, record)

    def _tell(self, number: int, record: TrialRecord | None) -> None:
        state, values, reached, excess = told(record)
        if state is not TrialState.COMPLETE:
            self._note(number, "reason", (record.reason or "the sweep ended before it") if record else "it never began")
        for step, objective in reached.items():
            self._study._storage.set_trial_intermediate_value(self._trial_id(number), step, objective)
        for key, value in as_attributes(excess).items():
            self._study._storage.set_trial_system_attr(self._trial_id(number), key, value)
        self._study.tell(number, values, state=state)

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

    def _is_over(self, number: int, told: bool) -> bool:
        """Whether the race of a configuration is over, whatever Optuna was `told` before something was lost of it.

        One that failed by itself would fail again; one whose process died is tried again, unless Optuna was told.
        """
        record = read_record(self._sweep, number, self._plan)
        raced = record.as_raced() if record else None
        if raced is None:
            return False
        return raced.state in (COMPLETE, PRUNED) or raced.failed_by_itself or (told and bool(raced.failure))

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


def _epochs_of(record: TrialRecord) -> int:
    """What a configuration ran, all stages together."""
    return sum(record.plan.earlier_epochs + len(history.epochs) for history in record.histories.values())
