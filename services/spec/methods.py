"""Methods: a loss of `trainers` with what `search_spaces` searches of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from contrasweep import search_spaces
from contrasweep.search_spaces import LR, Configuration, Context, Parameters, Range, Suggests, Value
from contrasweep.services.spec.spec import Options, PointConfig, SearchConfig, SweepSpec
from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses import Loss
from contrasweep.trainers.parameters import check, is_whole, rules_of

POINT = "point"
"""Attribute of an Optuna trial: the name of the point that it is."""


def parameters_of(methods: Sequence[str]) -> dict[str, Parameters]:
    """Each method's parameters at their published values."""
    return {method: losses.parameters(method) for method in methods}


def draw(trial: Suggests, spec: SweepSpec, label_ranges: Mapping[Options, float | None]) -> Configuration:
    """A configuration of a sweep, out of an Optuna trial: method, options, and then what depends on them.

    `label_ranges` are of all that configurations may read.
    """
    search = spec.search
    for point in search.points:
        if point.name == getattr(trial, "user_attrs", {}).get(POINT):
            return configured(point, spec)
    method = search_spaces.suggest_method(trial, search.spaces)
    axes = search.axes_of(method).items()
    choices = {axis: str(trial.suggest_categorical(f"choices.{axis}", list(options))) for axis, options in axes}
    chosen = spec.choosing(choices)
    context, ranges = chosen.context(label_ranges[search.reading(choices)]), chosen.ranges
    drawn = search_spaces.suggest(trial, parameters_of(search.spaces), context, ranges, search.fix)
    return replace(drawn, choices=choices)


@dataclass(frozen=True)
class Start:
    """Values that a trial is asked for, near a configuration to begin with; `point` is its name where it has one."""

    method: str
    values: dict[str, Value]
    point: str = ""


def starts(spec: SweepSpec, label_ranges: Mapping[Options, float]) -> list[Start]:
    """The spec's points, and the published point of each method with the first option of each axis."""
    published = (PointConfig(name="published", method=method) for method in spec.search.spaces)
    points = [Start(point.method, _asked(point, spec, label_ranges), point.name) for point in spec.search.points]
    return points + [Start(point.method, _asked(point, spec, label_ranges)) for point in published]


def _asked(point: PointConfig, spec: SweepSpec, label_ranges: Mapping[Options, float]) -> dict[str, Value]:
    """What a trial is asked for that is drawn at a point, moved into the ranges."""
    search, wanted = spec.search, configured(point, spec)
    chosen = spec.choosing(wanted.choices)
    asked: dict[str, Value] = {"method": point.method} if len(search.spaces) > 1 else {}
    asked |= {f"choices.{axis}": option for axis, option in wanted.choices.items()}
    training = {**chosen.training.model_dump(), **wanted.training}
    context = chosen.context(label_ranges[search.reading(wanted.choices)])
    near = (point.method, wanted.params, context, chosen.ranges, search.fix, training)
    return asked | search_spaces.published(*near)


def all_of_grid(spec: SweepSpec, most: int | None = None) -> list[Configuration]:
    """What a grid tries: the points, and then all of the product, `most` of that, as far as it is no point.

    Raises Refused where something has a range without steps.
    """
    points = [configured(point, spec) for point in spec.search.points]
    return points + [one for one in islice(_product(spec), most) if one not in points]


def _product(spec: SweepSpec) -> Iterator[Configuration]:
    """All of the product of what is searched, as far as labels do not count for it, one method after the other."""
    unknown = dict.fromkeys(spec.readings)
    for method in spec.search.spaces:
        one = spec.searching(spaces=(method,))
        for _, configuration in search_spaces.product(partial(draw, spec=one, label_ranges=unknown)):
            yield configuration


def configured(point: PointConfig, spec: SweepSpec) -> Configuration:
    """The configuration that a point is; where tuning is fair, it says of all that is searched where it stands."""
    search = spec.search
    params = {**losses.parameters(point.method), **fixed_of(point.method, search), **point.params}
    choices = search.options_at(point)
    return Configuration(point.method, params, _training_at(point, spec.choosing(choices)), choices, point.start)


def lineage(configuration: Configuration, spec: SweepSpec) -> list[Configuration]:
    """A configuration, the one that it starts from, the one that this starts from, and so on."""
    if configuration.start is None:
        return [configuration]
    point = next(point for point in spec.search.points if point.name == configuration.start)
    return [configuration, *lineage(configured(point, spec), spec)]


def fixed_of(method: str, search: SearchConfig) -> dict[str, Value]:
    """The parameters of a method that the search fixes, by their own names."""
    own = f"{method}."
    return {key.removeprefix(own): value for key, value in search.fix.items() if key.startswith(own)}


def _training_at(point: PointConfig, chosen: SweepSpec) -> dict[str, Value]:
    """Fields of the training at a point: what it says, and else what is fixed or, of what is searched, the spec's."""
    stands = chosen.training.model_dump()
    fields = [key.removeprefix("training.") for key in sorted(chosen.ranges) if key.startswith("training.")]
    fixed = {"lr": chosen.search.fix[LR]} if LR in chosen.search.fix else {}
    searched = {field: stands[field] for field in fields} if chosen.search.fair else {}
    return {**searched, **fixed, **point.training}


def typical(method: str, search: SearchConfig, context: Context) -> dict[str, Value]:
    """Parameters that a search may come to."""
    return next(search_spaces.points(method, losses.parameters(method), context, search.override, search.fix))


def check_method(method: str, search: SearchConfig, context: Context) -> None:
    """Raise UserError or Refused where a method cannot be built with what the search fixes, or at an end of a range."""
    check_values("search.fix", method, search.fix)
    for key, allowed in search.override.items():
        _check_range(method, key, allowed)
    for params in search_spaces.points(method, losses.parameters(method), context, search.override, search.fix):
        search_spaces.check(method, params, context)
        build(method, params, context)


def training_sizes(methods: Sequence[str], labelled: int, unlabelled: int) -> dict[str, int]:
    """How many scans each method trains on: those without a label, too, where it needs none."""
    return {method: labelled + (0 if losses.get(method).needs_labels else unlabelled) for method in methods}


def check_values(field: str, method: str, values: Mapping[str, Value]) -> None:
    """Raise UserError where the loss refuses one of `values`, given as `method.parameter`."""
    rules = _rules(method)
    for key, value in values.items():
        if key in rules:
            check(field, key, value, rules[key])


def build(method: str, params: Mapping[str, Value], context: Context) -> Loss:
    """The loss of a configuration. Raises UserError where it refuses its parameters or the number of views."""
    if context.views < losses.get(method).min_views:
        raise UserError(f"training.views: {context.views} is not allowed: {method} needs two views of each subject")
    return losses.build_decided(method, params, max_epochs=context.epochs, label_range=context.label_range)


def _check_range(method: str, key: str, allowed: Range) -> None:
    rules = _rules(method)
    if key not in rules:
        return
    for end in allowed.ends():
        check("search.override", key, end, rules[key])
    if is_whole(rules[key]) and isinstance(allowed.step, float):
        raise UserError(f"search.override: {key}: step {allowed.step:g} is not allowed: must be a whole number")


def _rules(method: str) -> dict[str, Any]:
    """The rules of a method's parameters, as `method.parameter`."""
    rules = rules_of(losses.get(method))
    return {f"{method}.{key}": rules[key] for key in losses.parameters(method)}
