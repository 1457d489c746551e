"""What may vary: one module for each method, with its published point, its ranges and its invariants.

A new method is one new module here that defines

- `PUBLISHED`: the parameters of its loss at the paper's own setting;
- `suggest(trial, context)`: the parameters searched, drawn from an Optuna trial under names `method.parameter`;
- `check(params, context)`: raises ValueError, in one line, where parameters cannot go together.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from search_spaces._invariants import of_kind
from search_spaces._space import Context, Range, Space, Suggests, Value
from search_spaces._trials import Adjusted, Point

__all__ = [
    "TRAINING",
    "Configuration",
    "Context",
    "Range",
    "Space",
    "Suggests",
    "Value",
    "check",
    "load",
    "names",
    "parameters",
    "points",
    "published",
    "suggest",
]

TRAINING = ("clip_norm", "ema", "lr", "step_epochs", "step_factor", "warmup_epochs", "weight_decay")
"""Fields of the training configuration that an override may search, as `training.<field>`."""


@dataclass(frozen=True)
class Configuration:
    """A method, all parameters of its loss, and the training fields that are searched beside it."""

    method: str
    params: dict[str, Value]
    training: dict[str, Value] = field(default_factory=dict)


def names() -> list[str]:
    """Sorted names of all search spaces."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Space:
    """The module of the method `name`. Raises ValueError where there is none."""
    if name not in names():
        raise ValueError(f"unknown search space '{name}'; allowed: {', '.join(names())}")
    return cast(Space, importlib.import_module(f"{__name__}.{name}"))


def parameters(name: str) -> dict[str, Value]:
    """Everything of method `name` that a spec may fix or override, as `method.parameter`, at its published value."""
    return {f"{name}.{key}": value for key, value in load(name).PUBLISHED.items()}


def suggest(
    trial: Suggests,
    spaces: Sequence[str],
    context: Context,
    override: Mapping[str, Range],
    fix: Mapping[str, Value],
) -> Configuration:
    """Draw one configuration: the method first, where there are several, then that method's parameters.

    Parameters that a space does not search stand at their published value. `override` replaces ranges (and
    searches `training.<field>` or what the space leaves alone); `fix` pins values, which are not asked for.

    >>> import optuna
    >>> trial = optuna.create_study().ask()
    >>> suggest(trial, ["vanilla"], Context(batch_size=32, epochs=50), {}, {})
    Configuration(method='vanilla', params={'kind': 'l1', 'bend': 1.0, 'bins': 101}, training={})
    """
    method = str(trial.suggest_categorical("method", list(spaces))) if len(spaces) > 1 else spaces[0]
    params = _params(trial, method, context, override, fix)
    training = {
        key.removeprefix("training."): override[key].suggest(trial, key, integer=override[key].is_integer())
        for key in sorted(override)
        if key.startswith("training.")
    }
    return Configuration(method, params, training)


def published(
    space: str,
    context: Context,
    override: Mapping[str, Range],
    fix: Mapping[str, Value],
    training: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """The paper's point of `space`, moved into the ranges, for `study.enqueue_trial`.

    Holds what a trial is asked for and nothing else: no fixed value, and no `method`, which is asked for only
    where a sweep has several spaces. `training` has the values from which searched training fields start.
    """
    start = {f"training.{key}": value for key, value in (training or {}).items()}
    point = Point({**parameters(space), **start})
    suggest(point, [space], context, override, fix)
    return point.asked


def points(
    space: str, context: Context, override: Mapping[str, Range], fix: Mapping[str, Value]
) -> Iterator[dict[str, Value]]:
    """Parameters at each end of each overridden range, and at the published point moved into the ranges."""
    params = suggest(Point(parameters(space)), [space], context, override, fix).params
    for key in sorted(parameters(space).keys() & override.keys()):
        for end in override[key].ends():
            yield {**params, key.removeprefix(f"{space}."): end}
    yield params


def check(space: str, context: Context, override: Mapping[str, Range], fix: Mapping[str, Value]) -> None:
    """Raise ValueError where a fixed value or an overridden range of `space` is of the wrong kind or breaks an
    invariant."""
    _check_kinds(space, override, fix)
    for params in points(space, context, override, fix):
        load(space).check(params, context)


def _check_kinds(space: str, override: Mapping[str, Range], fix: Mapping[str, Value]) -> None:
    for key, default in parameters(space).items():
        if key in fix:
            of_kind(key, default, fix[key])
        if key in override:
            for value in override[key].numbers():
                of_kind(key, default, value)


def _params(
    trial: Suggests, method: str, context: Context, override: Mapping[str, Range], fix: Mapping[str, Value]
) -> dict[str, Value]:
    adjusted = Adjusted(trial, override, fix)
    params = {**load(method).PUBLISHED, **load(method).suggest(adjusted, context)}
    for key, default in parameters(method).items():
        if key in adjusted.seen:
            continue
        if key in fix:
            params[key.removeprefix(f"{method}.")] = fix[key]
        elif key in override:
            integer = isinstance(default, int) and not isinstance(default, bool)
            params[key.removeprefix(f"{method}.")] = override[key].suggest(trial, key, integer=integer)
    return params
