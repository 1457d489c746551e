"""The spec: what a sweep studies, and nothing of where it runs. Its hash is the sweep's identity."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from contrasweep.search_spaces import LR, SIZES, TRAINING, Configuration, Context, Range, Value
from contrasweep.services.complaints import complaint
from contrasweep.services.spec.presets import over_preset
from contrasweep.services.spec.read import ReadConfig
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.yaml import dump_mapping, load_mapping
from contrasweep.trainers.config import (
    FINETUNE,
    DataConfig,
    FinetuneConfig,
    Frozen,
    ModelConfig,
    Named,
    TrainingConfig,
    finetuning,
)
from contrasweep.trainers.costs import COSTS
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES, Objective
from contrasweep.trainers.parameters import Count, Positive, Several

EXTENT = ("trials", "seeds", "new_seeds")
"""Fields of the search that say how far a sweep goes, beside `racing.finalists`."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Scalar = bool | int | float | str
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Section = TypeVar("Section", DataConfig, ModelConfig, TrainingConfig)
Options: TypeAlias = tuple[tuple[str, str], ...]
"""Options by their axes, in the order of the axes."""
READ = ("transforms", "train", "normalize", "dtype", "group")
"""Fields of the data that an option may change: none that decides who is in which split, or what is predicted."""
_NAMES = {DataConfig: "data", ModelConfig: "model", TrainingConfig: "training"}
FIRST_FRESH = 1000
"""The first of the seeds that finalists are judged on where those are fresh."""
FIRST_REPORTED = 2000
"""The first of the seeds that the winner's figure is of where finalists are judged on fresh ones."""
FRESH_ARE_KEPT = f"with racing.judged_on: fresh, seeds from {FIRST_FRESH} on are the finalists'"
GRID = "grid"
LEARNING = ("gp", "tpe")
"""Samplers that draw by whatever trials they are shown."""
LR_FACTOR = 10
"""How far from the spec's learning rate the one that is searched may be, either way."""
_OF_ALL = ("workers", "cpus_per_worker", "gpus_per_worker", "checkpoint")
"""Fields of the training that no option may change."""


class RacingConfig(Frozen):
    """When a configuration may be stopped: after each seed, and at `rungs` (counts of epochs) inside a seed.

    One as good as the best is stopped with a probability of at most 1 - `confidence`. The best of the search are
    `finalists`, and one of them wins: `judged_on: raced` by all seeds of the search, which are those that they were
    chosen by and so flatter them; `fresh` by as many others, which no race used, and what is reported of the winner is
    of as many again, which nothing was chosen by. `reinvest` spends the epochs saved on more configurations.
    """

    rungs: tuple[Count, ...] = ()
    finalists: Count = 3
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    reinvest: bool = False
    judged_on: Literal["raced", "fresh"] = "raced"

    @model_validator(mode="after")
    def _rungs_ascend(self) -> "RacingConfig":
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs {list(self.rungs)} must be in ascending order without repeats")
        return self


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Patch(Frozen):
    """What an option changes of a spec: fields of `data` (`READ`), `model` and `training`, and the whole `probe`."""

    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    probe: Named | None = None

    @field_validator("data")
    @classmethod
    def _leaves_the_splits_as_they_are(cls, data: dict[str, Any]) -> dict[str, Any]:
        for field in data:
            if field not in READ:
                raise ValueError(
                    f"'{field}' is not allowed: all options have the same scans, labels and splits; "
                    f"allowed: {', '.join(READ)}"
                )
        return data


class BoundConfig(Frozen):
    """What a figure may be at most."""

    max: Positive


class PointConfig(Frozen):
    """A named configuration that is always tried.

    What it does not say is fixed by the search, or published, and the first option of an axis. `start` is an earlier
    point: each run begins with the weights that the run of that point with its seed, and fold, ended with.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._=+-]{0,59}$")]
    method: str
    params: dict[str, Scalar] = Field(default_factory=dict)
    training: dict[str, int | float] = Field(default_factory=dict)
    choices: dict[Word, str] = Field(default_factory=dict)
    start: str | None = None


class SearchConfig(Frozen):
    """Which configurations are tried, and how each is judged.

    `parallel`: how many configurations may be under way at once. Configuration n is sampled from, and raced
    against, the results of configurations up to n - parallel, so that a sweep's outcome does not depend on
    the machine or on timing. `racing: null` turns racing off.

    `objective` is what they are compared by: a figure of the validation split, or several, of which the first chooses
    each seed's best epoch, where the others are read, and what is evaluated of the Pareto front.

    `constraints` bound what a configuration may cost, such as `seconds_per_scan: {max: 2}`: see `trainers.costs`. The
    least that its epochs measured counts, of speed above all, which is noisy: with whatever else a machine does, a
    configuration near a bound may be feasible on one and not on another. What was measured is kept with the epochs,
    so that the verdict on what has run stays. One that breaks a bound is kept, but wins nothing and is nobody's rival,
    and racing stops it.

    `choices` names axes and, of each, options to choose from, such as `encoder: {resnet18: {}, sfcn: {model: {encoder:
    sfcn}}}`; `choices_for` says for which methods an axis is there, where it is not for all. `points` are tried first.

    `fair` tunes all methods alike: each gets as many configurations as the others, and its learning rate is searched.
    Without it the sampler chooses methods, too, as before there was the field.

    `learn_from` are ids of earlier sweeps of the same name and objectives: what their configurations came to is known
    to the sampler from the beginning, as far as they could be drawn now.

    `trials`, `seeds` and the finalists may grow later: seeds that are added are run by the finalists, or, with
    `new_seeds: all`, by every configuration that was complete. A seed run that another sweep has trained already is
    taken from there, unless `fresh`. With `refit` the best configuration is trained once more, on all but the test
    split.
    """

    spaces: tuple[str, ...]
    override: dict[str, Range] = Field(default_factory=dict)
    fix: dict[str, Scalar] = Field(default_factory=dict)
    choices: dict[Word, dict[Word, Patch]] = Field(default_factory=dict)
    choices_for: dict[Word, tuple[str, ...]] = Field(default_factory=dict)
    points: tuple[PointConfig, ...] = ()
    objective: Annotated[tuple[str, ...], BeforeValidator(_listed)] = (DEFAULT,)
    sampler: Literal["tpe", "random", "qmc", "gp", "nsga2", "grid"] = "tpe"
    constraints: dict[str, BoundConfig] = Field(default_factory=dict)
    fair: bool = True
    learn_from: tuple[str, ...] = ()
    trials: Count = 30
    seeds: tuple[Seed, ...] = (0, 1, 2)
    new_seeds: Literal["finalists", "all"] = "finalists"
    fresh: bool = False
    refit: bool = False
    parallel: Count = 4
    racing: RacingConfig | None = RacingConfig()

    @field_validator("spaces", "seeds", "objective")
    @classmethod
    def _are_some(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("is empty; at least one is needed")
        return values

    @field_validator("spaces", "seeds", "objective", "learn_from")
    @classmethod
    def _are_distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} repeats {next(v for v in values if values.count(v) > 1)}")
        return values

    @field_validator("objective")
    @classmethod
    def _are_objectives(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OBJECTIVES:
                raise ValueError(f"unknown objective '{name}'; {nearest(name, OBJECTIVES)}")
        return names

    @field_validator("constraints")
    @classmethod
    def _bounds_what_is_measured(cls, bounds: dict[str, BoundConfig]) -> dict[str, BoundConfig]:
        for name in bounds:
            if name not in COSTS:
                raise ValueError(f"unknown figure '{name}'; {nearest(name, COSTS)}")
        return bounds

    @model_validator(mode="after")
    def _races_by_one_objective(self) -> "SearchConfig":
        if self.racing and len(self.objective) > 1:
            raise ValueError("racing is not allowed with several objectives: it stops by one alone; set racing: null")
        return self

    @model_validator(mode="after")
    def _learns_where_it_can(self) -> "SearchConfig":
        if self.learn_from and self.sampler not in LEARNING:
            raise ValueError(
                f"learn_from: is not allowed with sampler: {self.sampler}, which learns nothing of other sweeps; "
                f"allowed: {', '.join(LEARNING)}"
            )
        return self

    @model_validator(mode="after")
    def _fixes_or_overrides(self) -> "SearchConfig":
        for key in self.fix:
            if key in self.override:
                raise ValueError(f"'{key}' is in both fix and override; keep one")
        return self

    @model_validator(mode="after")
    def _searches_whole_sizes(self) -> "SearchConfig":
        for key in SIZES:
            for value in self.override[key].numbers() if key in self.override else ():
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise ValueError(f"override: {key}: {value} is not allowed: must be a whole number from 1 on")
        return self

    @model_validator(mode="after")
    def _leaves_fresh_seeds(self) -> "SearchConfig":
        for seed in self.seeds:
            if self.judges_fresh and seed >= FIRST_FRESH:
                raise ValueError(f"seeds: {seed} is not allowed: {FRESH_ARE_KEPT}")
        return self

    @model_validator(mode="after")
    def _chooses_from_several(self) -> "SearchConfig":
        for axis, options in self.choices.items():
            if axis in self._training_fields:
                raise ValueError(f"choices: '{axis}' is not allowed: it is a field of training")
            if len(options) < 2:
                raise ValueError(f"choices: {axis} has {len(options)} options; two are needed")
        for axis, methods in self.choices_for.items():
            if axis not in self.choices:
                raise ValueError(f"choices_for: unknown axis '{axis}'; {nearest(axis, self.choices)}")
            for method in methods:
                if method not in self.spaces:
                    raise ValueError(f"choices_for: {axis}: '{method}' is none of spaces {list(self.spaces)}")
        return self

    @model_validator(mode="after")
    def _names_points_of_the_search(self) -> "SearchConfig":
        names = [point.name for point in self.points]
        for point in self.points:
            where = f"points: {point.name}"
            if names.count(point.name) > 1:
                raise ValueError(f"{where} is there {names.count(point.name)} times")
            if point.method not in self.spaces:
                raise ValueError(f"{where}: method '{point.method}' is none of spaces {list(self.spaces)}")
            for field in point.training:
                if field not in TRAINING:
                    raise ValueError(f"{where}: training: unknown field '{field}'; {nearest(field, TRAINING)}")
            axes = self.axes_of(point.method)
            for axis, option in point.choices.items():
                if axis not in axes:
                    raise ValueError(f"{where}: choices: {point.method} has no axis '{axis}'; {nearest(axis, axes)}")
                if option not in axes[axis]:
                    raise ValueError(f"{where}: choices: {axis} has no '{option}'; {nearest(option, axes[axis])}")
        return self

    @model_validator(mode="after")
    def _starts_from_earlier_points(self) -> "SearchConfig":
        earlier: list[str] = []
        for point in self.points:
            where = f"points: {point.name}: start"
            if point.start is not None and point.start not in earlier:
                raise ValueError(f"{where}: no earlier point is '{point.start}'; {nearest(point.start, earlier)}")
            if point.start is not None and self.refit:
                raise ValueError(f"{where} is not allowed with refit: no run of '{point.start}' is trained on all")
            earlier.append(point.name)
        return self

    @property
    def judges_fresh(self) -> bool:
        """Whether finalists are judged on seeds that no race used."""
        return self.racing is not None and self.racing.judged_on == "fresh"

    @property
    def judged_fresh(self) -> int:
        """How many times a configuration runs seeds that no race used: the finalists, and then the winner once more."""
        return min(self.racing.finalists, self.trials) + 1 if self.racing and self.judges_fresh else 0

    @property
    def _training_fields(self) -> set[str]:
        """Names of fields of the training that no axis may have; the sizes were none before they could be searched."""
        given = {key.removeprefix("training.") for key in self.override} | {f for p in self.points for f in p.training}
        return {field for field in TRAINING if f"training.{field}" not in SIZES or field in given}

    def axes_of(self, method: str) -> dict[str, dict[str, Patch]]:
        """The axes that a configuration of a method has, with their options."""
        return {
            axis: options
            for axis, options in self.choices.items()
            if axis not in self.choices_for or method in self.choices_for[axis]
        }

    def reading(self, choices: Mapping[str, str]) -> Options:
        """Those of `choices` that say what a run reads: the options of axes that change the data."""
        return tuple(
            (axis, choices[axis])
            for axis, options in self.choices.items()
            if axis in choices and any(patch.data for patch in options.values())
        )

    def options_at(self, point: PointConfig) -> dict[str, str]:
        """The option of each axis that a point has: what it says, or the first."""
        return {axis: next(iter(options)) for axis, options in self.axes_of(point.method).items()} | point.choices

    def combinations(self, changes: Callable[[Patch], object]) -> dict[Options, tuple[str, ...]]:
        """All combinations of options of axes with any that `changes`, with the methods that may draw them."""
        found: dict[Options, tuple[str, ...]] = {}
        for method in self.spaces:
            axes = {a: options for a, options in self.axes_of(method).items() if any(map(changes, options.values()))}
            for options in product(*axes.values()):
                combined = tuple(zip(axes, options, strict=True))
                found[combined] = (*found.get(combined, ()), method)
        return found


class BudgetConfig(Frozen):
    """When to end the search: after `hours` of wall time, resumed runs added up; what is best by then is evaluated."""

    hours: Positive | None = None


class FinalConfig(Frozen):
    """What is evaluated and served in the end: null is the best configuration's runs, all alike.

    `ensemble: 8` is a weighted mean of at most so many seeds of any configurations that read the data as the best one
    does, chosen by what they said of the validation split or, with folds, out of fold: see `trainers.greedy`.
    """

    ensemble: Several | None = None


class Extent(Frozen):
    """How far a sweep goes: how many configurations, which seeds, for whom those that came later, how many finalists,
    out of which spaces, and for how long.

    `finalists` is null without racing; `spaces` is empty where a version that could add none wrote it down. `hours` is
    the budget, null without one; whether a sweep needed all of it the extent does not say.
    """

    trials: int
    seeds: tuple[int, ...]
    new_seeds: Literal["finalists", "all"] = "finalists"
    finalists: int | None = None
    spaces: tuple[str, ...] = ()
    hours: float | None = None

    def outlasts(self, other: "Extent") -> bool:
        """Whether its budget is the larger one."""
        return (self.hours or math.inf) > (other.hours or math.inf)

    def covers(self, other: "Extent") -> bool:
        """Whether a sweep that went so far has nothing more to do for one that is to go as far as `other`, had it the
        time.
        """
        return (
            self.trials >= other.trials
            and {*self.seeds} >= {*other.seeds}
            and (self.finalists or 0) >= (other.finalists or 0)
            and (other.new_seeds == "finalists" or self.new_seeds == "all")
            and (not self.spaces or {*self.spaces} >= {*other.spaces})
        )


@dataclass(frozen=True)
class SeedPlan:
    """What a configuration of a sweep is to run, unless racing stops it.

    Attributes:
        seeds: in the order in which they run, each on every fold.
        judged_epochs: of the stage that configurations are compared by.
        earlier_epochs: of the stage before it, which is there where fine-tuning is judged.
        folds: how many there are; 0 where the split has none.
        last: whether the model of the last epoch counts, not of the best.
        fresh: seeds that finalists are judged on, where those are others.
        objectives: what they are compared by, the first foremost.
        bounds: the most that each figure of `trainers.costs` may be, for those that are bounded.
    """

    seeds: tuple[int, ...]
    judged_epochs: int
    earlier_epochs: int = 0
    folds: int = 0
    last: bool = False
    fresh: tuple[int, ...] = ()
    objectives: tuple[str, ...] = (DEFAULT,)
    bounds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """The first of the objectives, which chooses each run's best epoch."""
        return OBJECTIVES[self.objectives[0]]

    @cached_property
    def replicates(self) -> tuple[Replicate, ...]:
        """What is run of a configuration, in this order."""
        folds = range(self.folds) if self.folds else (None,)
        return tuple(Replicate(seed, fold) for seed in self.seeds for fold in folds)

    @property
    def reported(self) -> tuple[int, ...]:
        """Seeds that nothing is chosen by, for the winner's figure where finalists are judged on fresh ones."""
        return tuple(range(FIRST_REPORTED, FIRST_REPORTED + len(self.fresh)))

    @property
    def finals(self) -> "SeedPlan":
        """What a finalist is to run."""
        return replace(self, seeds=self.fresh or self.seeds)

    @property
    def seed_epochs(self) -> int:
        """Epochs of a whole seed run, both stages together."""
        return self.earlier_epochs + self.judged_epochs

    @property
    def epochs(self) -> int:
        """Epochs of a whole configuration."""
        return self.seed_epochs * len(self.replicates)


class SweepSpec(Frozen):
    """A whole study: data, model, training, search. Frozen; unknown keys are refused."""

    name: str
    data: DataConfig
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    probe: Named = Field(default={"ridge": {}})
    read: ReadConfig | None = None
    search: SearchConfig
    budget: BudgetConfig = BudgetConfig()
    final: FinalConfig = FinalConfig()

    @field_validator("name")
    @classmethod
    def _is_a_slug(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
            raise ValueError(
                f"'{name}' is not allowed: must be 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit"
            )
        return name

    @field_validator("probe")
    @classmethod
    def _finetunes_well(cls, probe: Named) -> Named:
        if FINETUNE in probe:
            try:
                FinetuneConfig.model_validate_json(json.dumps(probe[FINETUNE]), strict=True)
            except ValidationError as error:
                raise ValueError(f"{FINETUNE}.{complaint(error, FinetuneConfig)}") from error
        return probe

    @model_validator(mode="after")
    def _has_the_groups_that_it_compares(self) -> "SweepSpec":
        for name in self.search.objective:
            for where, variant in {"": self, **self.variants}.items():
                if OBJECTIVES[name].grouped and variant.data.group is None:
                    field = f"{where}.data.group" if where else "data.group"
                    raise ValueError(f"search.objective: {name} is not allowed: it needs {field}, which is not set")
        return self

    @model_validator(mode="after")
    def _leaves_outer_folds_unseen(self) -> "SweepSpec":
        if self.search.learn_from and self.data.split.outer:
            raise ValueError(
                "search.learn_from: is not allowed with data.split.outer: the earlier sweeps have seen who each outer "
                "fold is tested on"
            )
        return self

    @model_validator(mode="after")
    def _chooses_an_ensemble_by_others(self) -> "SweepSpec":
        if self.final.ensemble and self.search.refit:
            raise ValueError(
                f"final.ensemble: {self.final.ensemble} is not allowed with search.refit, whose runs are trained on "
                "everyone that an ensemble could be chosen by; keep one"
            )
        return self

    @model_validator(mode="after")
    def _measures_what_it_bounds(self) -> "SweepSpec":
        for name in self.search.constraints:
            if COSTS[name].gpu and not self.training.gpus_per_worker:
                raise ValueError(
                    f"search.constraints: {name} is not allowed: it is measured on a GPU, and training.gpus_per_worker "
                    f"is 0"
                )
        return self

    @model_validator(mode="after")
    def _rungs_are_inside_training(self) -> "SweepSpec":
        rungs = self.search.racing.rungs if self.search.racing else ()
        epochs, field = self._fewest_epochs
        if rungs and rungs[-1] >= epochs:
            raise ValueError(f"search.racing.rungs: {rungs[-1]} is not allowed: must be below {field} {epochs}")
        return self

    @model_validator(mode="after")
    def _reads_epochs_that_are_trained(self) -> "SweepSpec":
        wanted = self.read.epochs if self.read else ()
        epochs, field = self._fewest_epochs
        if wanted and wanted[-1] > epochs:
            raise ValueError(f"read.epochs: {wanted[-1]} is not allowed: must be at most {field} {epochs}")
        return self

    @property
    def _fewest_epochs(self) -> tuple[int, str]:
        """The least that any configuration that trains is judged for, and the field that says so."""
        found = []
        for where, variant in {"": self, **self.variants, **self.points}.items():
            if not variant.trains:
                continue
            field = f"probe.{FINETUNE}.epochs" if FINETUNE in variant.probe else "training.epochs"
            epochs = min(one.judged_epochs for one in variant.sizes)
            found.append((epochs, f"{where}.{field}" if where else field))
        return min(found, key=itemgetter(0), default=(1, "training.epochs"))

    @model_validator(mode="after")
    def _starts_and_runs_alike_whatever_is_chosen(self) -> "SweepSpec":
        for where, variant in self.variants.items():
            for field in _OF_ALL:
                if variant.training.model_dump()[field] != self.training.model_dump()[field]:
                    raise ValueError(f"{where}: training.{field} is not allowed: it is the same for all configurations")
            if variant.model.init_from != self.model.init_from:
                raise ValueError(f"{where}: model.init_from is not allowed: it is the same for all configurations")
        return self

    @model_validator(mode="after")
    def _trains_what_has_no_weights(self) -> "SweepSpec":
        if self.model.init_from is not None:
            return self
        given = {f"search.points.{point.name}" for point in self.search.points if point.start}
        for where, one in {**self.drawn, **self.points}.items():
            if where not in given and one.training.epochs == 0:
                raise ValueError(
                    f"{f'{where}.' if where else ''}training.epochs: 0 is not allowed without weights to read: "
                    f"{'start or ' if where in self.points else ''}model.init_from"
                )
        return self

    @model_validator(mode="after")
    def _warms_up_whatever_is_chosen(self) -> "SweepSpec":
        """Two axes may together ask for what neither does."""
        sets = {field: list(self._options_that_set(field)) for field in ("epochs", "warmup_epochs")}
        for (axis, option), (other, another) in product(*sets.values()):
            if axis != other:
                try:
                    self.choosing({axis: option, other: another})
                except ValueError as error:
                    raise ValueError(f"search.choices.{axis}.{option} with {other}.{another}: {error}") from error
        return self

    def _options_that_set(self, field: str) -> Iterator[tuple[str, str]]:
        """Axis and name of every option that changes a field of the training."""
        for axis, options in self.search.choices.items():
            for option, patch in options.items():
                if field in patch.training:
                    yield axis, option

    def choosing(self, choices: Mapping[str, str]) -> "SweepSpec":
        """This spec with an option of some axes, in the order of the axes, and nothing left to choose."""
        if not choices:
            return self
        patches = [self.search.choices[axis][option] for axis, option in choices.items()]
        changes = {
            "data": patched(self.data, *(patch.data for patch in patches)),
            "model": patched(self.model, *(patch.model for patch in patches)),
            "training": patched(self.training, *(patch.training for patch in patches)),
            "probe": next((patch.probe for patch in reversed(patches) if patch.probe), self.probe),
        }
        return self.searching(choices={}, choices_for={}).model_copy(update=changes)

    def searching(self, **changes: Any) -> "SweepSpec":
        """This spec with fields of its search changed, which are not validated."""
        return self.model_copy(update={"search": self.search.model_copy(update=changes)})

    @property
    def variants(self) -> dict[str, "SweepSpec"]:
        """The spec with each option of each axis, for the methods that have it, by the place of the option.

        Raises ValueError, in one line, where an option does not give a spec.
        """
        found = {}
        for axis, options in self.search.choices.items():
            for option in options:
                where = f"search.choices.{axis}.{option}"
                try:
                    chosen = self.choosing({axis: option})
                except ValueError as error:
                    raise ValueError(f"{where}.{error}") from error
                found[where] = chosen.searching(spaces=self.search.choices_for.get(axis, self.search.spaces))
        return found

    @property
    def readings(self) -> dict[Options, "SweepSpec"]:
        """The spec of the configurations that read the same, with what is left to choose, by what they read."""
        found = self.search.combinations(lambda patch: patch.data)
        return {options: self._reading(options, methods) for options, methods in found.items()}

    def _reading(self, options: Options, methods: tuple[str, ...]) -> "SweepSpec":
        axes = {method: self.search.axes_of(method) for method in methods}
        having = {axis: tuple(method for method in methods if axis in axes[method]) for axis in self.search.choices}
        left = [axis for axis, some in having.items() if some and axis not in dict(options)]
        points = tuple(
            point
            for point in self.search.points
            if point.method in methods and {*options} <= {*self.search.options_at(point).items()}
        )
        return self.choosing(dict(options)).searching(
            spaces=methods,
            points=points,
            trials=self.search.trials if self.drawn else len(points),
            choices={axis: self.search.choices[axis] for axis in left},
            choices_for={axis: having[axis] for axis in left if axis in self.search.choices_for},
        )

    @property
    def ranges(self) -> dict[str, Range]:
        """What is searched otherwise than the methods' spaces say: what is overridden, and the learning rate.

        Of a grid that is no range: each method is tried at all of it, whatever is in it.
        """
        search, lr = self.search, self.training.lr
        if not search.fair or search.sampler == GRID or LR in search.fix:
            return search.override
        return {LR: Range(low=lr / LR_FACTOR, high=lr * LR_FACTOR, log=True), **search.override}

    @property
    def sizes(self) -> list["SweepSpec"]:
        """This spec; with each combination of what bounds batch size and epochs where these are searched."""
        ends = {key: self.search.override[key].ends() for key in SIZES if key in self.search.override}
        fields = [key.removeprefix("training.") for key in ends]
        return [self.sized(dict(zip(fields, chosen, strict=True))) for chosen in product(*ends.values())]

    def sized(self, training: Mapping[str, Value]) -> "SweepSpec":
        """This spec with the batch size and the epochs of a configuration, where it says any; it searches neither."""
        own = {field: training[field] for key in SIZES if (field := key.removeprefix("training.")) in training}
        override = {key: allowed for key, allowed in self.search.override.items() if key not in SIZES}
        return self.searching(override=override).model_copy(update={"training": self.training.model_copy(update=own)})

    @property
    def largest_batch(self) -> int:
        """The largest batch that any configuration may have."""
        specs = [*self.sizes, *(size for one in self.variants.values() for size in one.sizes), *self.points.values()]
        return max(one.training.batch_size for one in specs)

    @property
    def points(self) -> dict[str, "SweepSpec"]:
        """The spec as each point has it, by the point's place."""
        return {
            f"search.points.{point.name}": self.choosing(self.search.options_at(point)).sized(point.training)
            for point in self.search.points
        }

    @property
    def drawn(self) -> dict[str, "SweepSpec"]:
        """This spec, and with each option by its place, where configurations are tried beside the points."""
        racing, points = self.search.racing, len(self.search.points)
        more = self.search.trials > points or (racing is not None and racing.reinvest)
        return {"": self, **self.variants} if more else {}

    @property
    def trains(self) -> bool:
        """Whether anything is trained before configurations are compared, and not weights read as they are."""
        return self.training.epochs > 0 or FINETUNE in self.probe

    @property
    def judged_epochs(self) -> int:
        """Epochs of the stage that configurations are compared by: fine-tuning where there is any."""
        tune = finetuning(self.probe)
        return tune.epochs if tune else self.training.counted_epochs

    @property
    def plan(self) -> SeedPlan:
        """What a configuration is to run where nothing is chosen, as far as the spec says.

        It does not say how many folds a column's values make.
        """
        folds = self.data.split.folds
        return self.plan_over(folds if isinstance(folds, int) else 0)

    def plan_over(self, folds: int) -> SeedPlan:
        """What a configuration is to run where nothing is chosen, and the split has so many folds; 0 is for none."""
        earlier = self.training.counted_epochs if FINETUNE in self.probe else 0
        fresh = tuple(range(FIRST_FRESH, FIRST_FRESH + len(self.search.seeds))) if self.search.judges_fresh else ()
        return SeedPlan(
            self.search.seeds,
            self.judged_epochs,
            earlier,
            folds,
            self.training.checkpoint == "last",
            fresh,
            self.search.objective,
            {name: bound.max for name, bound in self.search.constraints.items()},
        )

    @property
    def plans(self) -> list[SeedPlan]:
        """What configurations are to run, for each combination of options that bear on it, and points that do.

        Where the epochs are searched, for the fewest and the most.
        """
        found = self.search.combinations(lambda patch: "epochs" in patch.training or patch.probe)
        chosen = [[size.plan for size in self.choosing(dict(options)).sizes] for options in found]
        chosen += [
            [self.points[f"search.points.{point.name}"].plan]
            for point in self.search.points
            if "epochs" in point.training
        ]
        ordered = (sorted(plans, key=lambda plan: plan.seed_epochs) for plans in chosen)
        return [plan for plans in ordered for plan in (plans[:1] if plans[0] == plans[-1] else [plans[0], plans[-1]])]

    def plan_of(self, configuration: Configuration, folds: int) -> SeedPlan:
        """What a configuration is to run: as `plan_over`, for as many epochs as it says."""
        return self.choosing(configuration.choices).sized(configuration.training).plan_over(folds)

    @property
    def sweep_id(self) -> str:
        """`name-` and 8 hex digits of the hash of what is said that bears on the result.

        A field at its default is not in the hash, so that a field that is added later gives no sweep another id - but
        for `fair`, which is there where it is true, as no sweep was before there was the field; nor is how far it goes,
        which may grow (`EXTENT`), whether it trains what is there already (`fresh`), what is only told (`data.unit`,
        `data.licence`), nor are machines (`data.feed`, the budget, CPUs, GPUs and, where the result does not depend on
        them, workers). The order of keys does not count,
        but for the augmentations, which apply in the order written, for several images of a scan, whose channels do,
        and for choices, which are drawn in it.
        """
        science = self.model_dump(
            exclude_defaults=True,
            exclude={
                "data": {"feed", "unit", "licence"},
                "budget": True,
                "training": self._machines(),
                "search": {**dict.fromkeys((*EXTENT, "fresh", "fair"), True), "racing": {"finalists"}},
            },
        )
        if self.search.fair:
            science["search"]["fair"] = True
        if self.search.racing and science["search"].get("racing") == {}:
            del science["search"]["racing"]
        training = science.pop("training", {})
        if self.training.augmentations:
            training["augmentations"] = list(self.training.augmentations.items())
        if isinstance(self.data.image, dict):
            science["data"]["image"] = list(self.data.image.items())
        if self.search.choices:
            axes = science["search"]["choices"]
            science["search"]["choices"] = [[axis, list(axes[axis].items())] for axis in self.search.choices]
        canonical = json.dumps(_whole(science | {"training": training}), sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"

    def _machines(self) -> set[str]:
        """Fields of `training` that say where it runs.

        `workers` is one of them on GPUs. On CPUs batch norm counts each worker's own rows, and `mae` draws its masks
        on each worker: there several workers train otherwise than one.
        """
        machines = {"cpus_per_worker", "gpus_per_worker"}
        depends = not self.training.gpus_per_worker or "mae" in self.search.spaces
        return machines if depends else machines | {"workers"}

    def going_on_from(self, before: "SweepSpec") -> "SweepSpec":
        """This spec, as far as it and `before`, of the same sweep, go: it never has fewer trials, seeds or spaces."""
        own, past = self.search, before.search
        added = tuple(seed for seed in own.seeds if seed not in past.seeds)
        spaces = past.spaces + tuple(space for space in own.spaces if space not in past.spaces)
        changes: dict[str, Any] = {
            "trials": max(own.trials, past.trials),
            "seeds": past.seeds + added,
            "spaces": spaces,
            "fair": past.fair,  # which the same sweep is in all versions
        }
        if not added and past.new_seeds == "all":
            changes["new_seeds"] = "all"
        if own.racing and past.racing:
            finalists = max(own.racing.finalists, past.racing.finalists)
            changes["racing"] = own.racing.model_copy(update={"finalists": finalists})
        return self.searching(**changes)

    def goes_beyond(self, before: "SweepSpec") -> bool:
        """Whether it asks for more trials, seeds, finalists or spaces than `before`, of the same sweep."""
        return not before.extent.covers(self.extent)

    @property
    def extent(self) -> Extent:
        """How far the sweep goes: what may grow without it being another one."""
        fields = {field: getattr(self.search, field) for field in EXTENT}
        finalists = self.search.racing.finalists if self.search.racing else None
        return Extent(**fields, finalists=finalists, spaces=self.search.spaces, hours=self.budget.hours)

    def to_yaml(self) -> str:
        """The canonical YAML, defaults included; `parse_spec` gives the same spec back."""
        return dump_mapping(json.loads(json.dumps(self.model_dump())))

    def context(self, label_range: float | None = None) -> Context:
        """What the search spaces' ranges depend on; `label_range` is of the training split, once it is known."""
        training = self.training
        return Context(training.batch_size, training.epochs, label_range, training.views)


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, the file it came from, and the folder that its relative paths start from.

    `known_as` is the id of the sweep that it is, where a version of the program that made ids otherwise has begun it.
    """

    spec: SweepSpec
    path: Path
    base: Path
    known_as: str = ""

    @property
    def sweep_id(self) -> str:
        """The id of its sweep."""
        return self.known_as or self.spec.sweep_id

    @property
    def cohorts(self) -> dict[str, "LoadedSpec"]:
        """The study with the data of each external cohort in place of its own, by the cohort's name."""
        cohorts = self.spec.data.cohorts
        return {name: replace(self, spec=self.spec.model_copy(update={"data": cohorts[name]})) for name in cohorts}

    @property
    def readings(self) -> dict[Options, "LoadedSpec"]:
        """See `SweepSpec.readings`."""
        return {options: replace(self, spec=spec) for options, spec in self.spec.readings.items()}


def parse_spec(text: str | bytes, source: str) -> SweepSpec:
    """The spec written in `text`. Raises UserError, in one line that starts with `source`."""
    return spec_of(load_mapping(text, source), source)


def kept_spec(text: str | bytes, source: str) -> SweepSpec:
    """The spec that `SweepSpec.to_yaml` wrote, in this version or an earlier one, which knew of nothing `fair`.

    Raises UserError as `parse_spec` does.
    """
    document = load_mapping(text, source)
    if isinstance(document.get("search"), dict):
        document["search"].setdefault("fair", False)
    return spec_of(document, source)


def spec_of(document: Mapping[str, Any], source: str) -> SweepSpec:
    """The spec that `document` is, over the `preset` that it may name.

    Raises UserError, in one line that starts with `source`.
    """
    try:
        whole = _without_retired(over_preset(document))
        return SweepSpec.model_validate_json(json.dumps(whole, default=str), strict=True)
    except ValidationError as error:
        raise UserError(f"{source}: {complaint(error, SweepSpec)}") from error
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def load_spec(path: str | Path) -> LoadedSpec:
    """Read and validate the spec at `path`; names of components are left to `check_spec`."""
    path = Path(path)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `contrasweep init {path}` writes a first spec") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    return LoadedSpec(parse_spec(text, str(path)), path, path.resolve().parent)


def patched(section: Section, *changes: Mapping[str, Any]) -> Section:
    """A section of the spec with changes, one after the other. Raises ValueError, in one line, on what it refuses."""
    if not any(changes):
        return section
    fields = section.model_dump(mode="json")
    for changed in changes:
        fields |= changed
    try:
        return type(section).model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise ValueError(f"{_NAMES[type(section)]}.{complaint(error, type(section))}") from error


def _without_retired(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document without `search.objective: validation_mae`, which old specs have, and which is the default."""
    search = document.get("search")
    if not isinstance(search, dict) or search.get("objective") != "validation_mae":
        return document
    return {**document, "search": {key: value for key, value in search.items() if key != "objective"}}


def _whole(value: Any) -> Any:
    """`value` with 2.0 written as 2, so that a number hashes the same however it was written."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
