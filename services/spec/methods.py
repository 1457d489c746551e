"""Methods: a loss of `trainers` with what `search_spaces` searches of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import search_spaces
from search_spaces import Configuration, Context, Parameters, Range, Suggests, Value
from services.spec.spec import SearchConfig, SweepSpec
from trainers import losses
from trainers.errors import UserError
from trainers.losses import Loss
from trainers.parameters import check, is_whole, rules_of


def parameters_of(methods: Sequence[str]) -> dict[str, Parameters]:
    """Each method's parameters at their published values."""
    return {method: losses.parameters(method) for method in methods}


def draw(trial: Suggests, spec: SweepSpec, label_range: float | None) -> Configuration:
    """A configuration of a sweep, out of an Optuna trial: method, options, and then what depends on them."""
    search = spec.search
    method = search_spaces.suggest_method(trial, search.spaces)
    axes = search.axes_of(method).items()
    choices = {axis: str(trial.suggest_categorical(f"choices.{axis}", list(options))) for axis, options in axes}
    context = spec.choosing(choices).context(label_range)
    drawn = search_spaces.suggest(trial, parameters_of(search.spaces), context, search.override, search.fix)
    return replace(drawn, choices=choices)


def starts(spec: SweepSpec, label_range: float | None) -> list[dict[str, Value]]:
    """The published point of each method, with the first option of each axis, as far as a trial is asked for it."""
    search, first = spec.search, []
    for method, own in parameters_of(search.spaces).items():
        options = {axis: next(iter(named)) for axis, named in search.axes_of(method).items()}
        chosen = spec.choosing(options)
        asked: dict[str, Value] = {"method": method} if len(search.spaces) > 1 else {}
        asked |= {f"choices.{axis}": option for axis, option in options.items()}
        context, training = chosen.context(label_range), chosen.training.model_dump()
        first.append(asked | search_spaces.published(method, own, context, search.override, search.fix, training))
    return first


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
