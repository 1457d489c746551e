"""What a sampler sees when it draws configuration n: a study made from the records, the same whenever it is made."""

import math
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import NamedTuple

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial, TrialState

from contrasweep.services.records.trial_record import FAILED, TrialRecord
from contrasweep.services.spec.methods import POINT
from contrasweep.services.sweep.spaces import METHOD, Spaces
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.seeding import fold

POPULATION = 16
"""Of NSGA-II; the first ones are drawn at random. It does not depend on the number of trials, which may grow."""
PARENTS = ":parent:"
"""In the names of attributes where NSGA-II keeps the numbers of a generation's parents."""
REPEATS = "repeats"
"""Attribute of an Optuna trial that was not run, of versions that told repeats as trials: what it repeats."""


def make_sampler(name: str, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
    """The sampler of configuration `number`, by its name in the spec: tpe, random, qmc, gp or nsga2.

    Each `attempt` at the number has random numbers of its own.
    """
    seed = fold("sampler", number, *([attempt] if attempt else [])) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False, warn_independent_sampling=False)
        if name == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
        independent = optuna.samplers.RandomSampler(seed=seed)
        if name == "qmc":  # one sequence for all; what depends on the method is outside it
            return optuna.samplers.QMCSampler(
                seed=0, scramble=True, independent_sampler=independent, warn_independent_sampling=False
            )
        assert name == "random"
        return independent


class Scratch:
    """A study in memory that knows what configuration `number` may be drawn from.

    Configurations that `known` has are told as their race ended, whatever finalists came to later; the others are under
    way. One that failed by itself is told as worse than any other, so that the sampler leaves where it was; one whose
    process died is no evidence.

    Args:
        study: Optuna's own of the sweep.
        number: of the configuration.
        known: records by number, of all that may be known by then.
        sampler: draws it.
        spaces: of each configuration.
        seen: numbers of those that the sampler sees, all of one method, where it is not to see all.
        prior: complete trials that it sees before them.
        in_line: whether what is in line under the number is asked for.
    """

    def __init__(
        self,
        study: optuna.Study,
        number: int,
        known: Mapping[int, TrialRecord | None],
        sampler: optuna.samplers.BaseSampler,
        spaces: Spaces,
        *,
        seen: Collection[int] | None = None,
        prior: Sequence[FrozenTrial] = (),
        in_line: bool = True,
    ) -> None:
        self._number, self._real, self._spaces = number, study, spaces
        self._storage, self._study_id = study._storage, study._study_id
        memory = InMemoryStorage()
        self._study = optuna.create_study(storage=memory, sampler=sampler, directions=study.directions)
        _copy_attributes(self._storage, self._study_id, memory, self._study._study_id)
        trials = [spaces.seen(trial, number) for trial in study.get_trials(deepcopy=False)[: number + 1]]
        before = trials[:number] if seen is None else [_of_its_method(trials[n]) for n in seen]
        if not isinstance(sampler, optuna.samplers.TPESampler):  # it alone minds no trial that lacks all parameters
            before = [trial for trial in before if POINT not in trial.user_attrs]
        seen_records = [known[trial.number] for trial in before if trial.number in known]
        bad = _worse_than_all([*_values_of(seen_records), *(trial.values for trial in prior)], study.directions)
        for trial in [*prior, *(_as_known(trial, known, bad) for trial in before)]:
            memory.create_new_trial(self._study._study_id, trial)
        own = _again(trials[number], Told(TrialState.RUNNING)) if in_line and number < len(trials) else None
        self.trial = optuna.Trial(self._study, memory.create_new_trial(self._study._study_id, own))

    def keep(self, method: str) -> None:
        """Write what was drawn, of `method`, into the sweep's own study, which has been asked for the configuration."""
        real, drawn = self._real.get_trials(deepcopy=False)[self._number], self._study.get_trials(deepcopy=False)[-1]
        _copy_attributes(self._study._storage, self._study._study_id, self._storage, self._study_id)
        params, distributions = drawn.params, drawn.distributions
        spaces = self._spaces.at(self._number)
        if len(spaces) > 1 and POINT not in real.user_attrs:
            params, distributions = (
                {METHOD: method, **params},
                {METHOD: CategoricalDistribution(spaces), **distributions},
            )
        for name, distribution in distributions.items():
            kept = self._spaces.parameter(self._number) if name == METHOD else name
            if kept not in real.params:
                value = distribution.to_internal_repr(params[name])
                self._storage.set_trial_param(real._trial_id, kept, value, distribution)
        for key, noted in drawn.system_attrs.items():  # such as which generation it is of
            if key not in real.system_attrs:
                self._storage.set_trial_system_attr(real._trial_id, key, noted)


class Told(NamedTuple):
    """How a configuration stands, as Optuna has it: its objectives as measured, or what it reached by when.

    `excess` is by which share each figure is above its bound, or, below 0, under it.
    """

    state: TrialState
    values: Sequence[float] | None = None
    reached: Mapping[int, float] = MappingProxyType({})
    excess: Mapping[str, float] = MappingProxyType({})


def told(record: TrialRecord | None) -> Told:
    """How a configuration stands. One that lacks one of several objectives has failed: Optuna has no place for it."""
    if record is None or record.state == FAILED:
        return Told(TrialState.FAIL)
    objectives = (OBJECTIVES[name] for name in record.plan.objectives)
    values = [one.turned(ranked) for one, ranked in zip(objectives, record.ranked, strict=True)]
    excess = {name: cost / record.plan.bounds[name] - 1 for name, cost in record.costs.items()}
    if record.state == COMPLETE:
        lacks = len(values) > 1 and not all(map(math.isfinite, values))
        return Told(TrialState.FAIL) if lacks else Told(TrialState.COMPLETE, values, excess=excess)
    if len(values) > 1 or not math.isfinite(values[0]):  # Optuna has intermediate values of one objective only
        return Told(TrialState.PRUNED, excess=excess)
    epochs = sum(len(history.epochs) for history in record.histories.values())
    return Told(TrialState.PRUNED, None, {epochs: values[0]}, excess)


def as_attributes(excess: Mapping[str, float]) -> dict[str, float]:
    """Constraints as the system attributes of an Optuna trial, as `optuna.Trial.set_constraint` writes them."""
    return {f"{_CONSTRAINTS_KEY}:{name}": share for name, share in excess.items()}


def _as_known(trial: FrozenTrial, known: Mapping[int, TrialRecord | None], bad: Sequence[float]) -> FrozenTrial:
    if REPEATS in trial.user_attrs and trial.state.is_finished():
        return _again(trial, Told(trial.state, trial.values, trial.intermediate_values, trial.constraints))
    if trial.number not in known:
        return _again(trial, Told(TrialState.RUNNING))
    record = known[trial.number]
    if record is not None and record.failed_by_itself and bad:
        twice = dict.fromkeys(record.plan.bounds, 1.0)  # every figure of every trial is wanted, and none that allures
        return _again(trial, Told(TrialState.COMPLETE, bad, excess=twice))
    return _again(trial, told(record))


def _again(trial: FrozenTrial, outcome: Told) -> FrozenTrial:
    """A trial with another outcome."""
    return optuna.trial.FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=outcome.state,
        value=None,
        values=outcome.values,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_start if outcome.state.is_finished() else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs | as_attributes(outcome.excess),
        intermediate_values=dict(outcome.reached),
    )


def _of_its_method(trial: FrozenTrial) -> FrozenTrial:
    """A trial without its method, where the sampler sees no other."""
    own = copy(trial)
    own.params = {name: value for name, value in trial.params.items() if name != METHOD}
    own.distributions = {name: one for name, one in trial.distributions.items() if name != METHOD}
    return own


def _values_of(known: Iterable[TrialRecord | None]) -> list[list[float]]:
    """What those came to that did not fail, as measured."""
    values = [list(record.objectives.values()) for record in known if record and not record.failure]
    return [one for one in values if all(map(math.isfinite, one))]


def _worse_than_all(values: Iterable[Sequence[float]], directions: Iterable[StudyDirection]) -> list[float]:
    """Of each objective, as far beyond the worst as that is from the best; none before there is any."""
    return [_beyond(direction, of) for direction, of in zip(directions, zip(*values, strict=True), strict=False)]


def _beyond(direction: StudyDirection, values: Sequence[float]) -> float:
    high, low = max(values), min(values)
    return 2 * low - high if direction is StudyDirection.MAXIMIZE else 2 * high - low


def _copy_attributes(source: BaseStorage, source_id: int, target: BaseStorage, target_id: int) -> None:
    """A sequence such as Sobol's keeps in the study how far it is.

    Who the parents of a generation are is found out again: their numbers are of another study.
    """
    before = target.get_study_system_attrs(target_id)
    for key, value in source.get_study_system_attrs(source_id).items():
        if before.get(key) != value and PARENTS not in key:
            target.set_study_system_attr(target_id, key, value)
