"""What may vary: one module for each method that has something to search, which defines

- `suggest(trial, context)`: the parameters searched, drawn from an Optuna trial under names `method.parameter`;
- where the loss cannot know it, `check(params, context)`: raises Refused where parameters do not go with the context.

A method's parameters and their published values are those of its loss's constructor, which callers hand over; a method
without a module stands at them.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from contrasweep.search_spaces._space import Context, Range, Refused, Space, Suggests, Value
from contrasweep.search_spaces._trials import Adjusted, Point, Ranges, product

__all__ = [
    "LR",
    "SIZES",
    "TRAINING",
    "Configuration",
    "Context",
    "Parameters",
    "Range",
    "Refused",
    "Suggests",
    "Value",
    "check",
    "names",
    "points",
    "product",
    "published",
    "qualified",
    "ranges",
    "suggest",
    "suggest_method",
]

LR = "training.lr"
"""What the range of the learning rate is called."""
SIZES = ("training.batch_size", "training.epochs")
"""What ranges are called that others depend on, by the context."""

TRAINING = (
    "batch_size",
    "clip_norm",
    "ema",
    "epochs",
    "lr",
    "step_epochs",
    "step_factor",
    "warmup_epochs",
    "weight_decay",
)
"""Fields of the training configuration that an override may search, as `training.<field>`."""

Parameters: TypeAlias = Mapping[str, Value]
"""All parameters of a method, by their own names, at their published values."""


@dataclass(frozen=True)
class Configuration:
    """A method, all parameters of its loss, the training fields that are searched beside it, and options by axis.

    `start` is the name of the point whose weights its runs begin with, where they do.
    """

    method: str
    params: dict[str, Value]
    training: dict[str, Value] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    start: str | None = None

    @property
    def values(self) -> dict[str, Value]:
        """Everything that makes it, by name, but the method."""
        start: dict[str, Value] = {"start": self.start} if self.start else {}
        return {**self.params, **self.training, **self.choices, **start}


def names() -> list[str]:
    """Sorted names of the methods that have something to search."""
    modules = (module for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def qualified(method: str, parameters: Parameters) -> dict[str, Value]:
    """The parameters as a spec names them: `method.parameter`."""
    return {f"{method}.{key}": value for key, value in parameters.items()}


def suggest(
    trial: Suggests,
    methods: Mapping[str, Parameters],
    context: Context,
    override: Mapping[str, Range],
    fix: Mapping[str, Value],
) -> Configuration:
    """Draw one configuration: the method first, where there are several, then that method's parameters.

    Batch size and epochs that are searched are drawn before them, in place of the context's. Parameters that a space
    does not search stand at their published value. `override` replaces ranges (and searches `training.<field>` or what
    the space leaves alone); `fix` pins values, which are not asked for.

    >>> import optuna
    >>> trial = optuna.create_study().ask()
    >>> suggest(trial, {"vanilla": {"kind": "l1", "bend": 1.0}}, Context(batch_size=32, epochs=50), {}, {})
    Configuration(method='vanilla', params={'kind': 'l1', 'bend': 1.0}, training={})
    """
    method = suggest_method(trial, list(methods))
    sizes = _training(trial, override, SIZES)
    params = _params(trial, method, methods[method], replace(context, **sizes), override, fix)
    others = [key for key in sorted(override) if key.startswith("training.") and key not in SIZES]
    fixed = {key.removeprefix("training."): value for key, value in fix.items() if key.startswith("training.")}
    return Configuration(method, params, fixed | sizes | _training(trial, override, others))


def suggest_method(trial: Suggests, methods: Sequence[str]) -> str:
    """Draw the method, where there are several."""
    return str(trial.suggest_categorical("method", methods)) if len(methods) > 1 else methods[0]


def published(
    method: str,
    parameters: Parameters,
    context: Context,
    override: Mapping[str, Range],
    fix: Mapping[str, Value],
    training: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """The paper's point of `method`, moved into the ranges, for `study.enqueue_trial`.

    Holds what a trial is asked for and nothing else: no fixed value, and no `method`, which is asked for only
    where a sweep has several. `training` has the values from which searched training fields start.
    """
    start = {f"training.{key}": value for key, value in (training or {}).items()}
    point = Point({**qualified(method, parameters), **start})
    suggest(point, {method: parameters}, context, override, fix)
    return point.asked


def points(
    method: str, parameters: Parameters, context: Context, override: Mapping[str, Range], fix: Mapping[str, Value]
) -> Iterator[dict[str, Value]]:
    """Parameters at each end of each overridden range, and at the published point moved into the ranges."""
    own = qualified(method, parameters)
    params = suggest(Point(own), {method: parameters}, context, override, fix).params
    for key in sorted(own.keys() & override.keys()):
        for end in override[key].ends():
            yield {**params, key.removeprefix(f"{method}."): end}
    yield params


def ranges(method: str, parameters: Parameters, context: Context) -> dict[str, str]:
    """What is searched of `method`, as `method.parameter`, and from where it is drawn, in words."""
    noted = Ranges()
    suggest(noted, {method: parameters}, context, {}, {})
    return noted.words


def check(method: str, params: Mapping[str, Value], context: Context) -> None:
    """Raise Refused where parameters do not go with the context."""
    if demands := getattr(_space(method), "check", None):
        demands(params, context)


def _space(method: str) -> Space | None:
    """The module of a method; None where nothing of it is searched."""
    return cast(Space, importlib.import_module(f"{__name__}.{method}")) if method in names() else None


def _training(trial: Suggests, override: Mapping[str, Range], keys: Sequence[str]) -> dict[str, Any]:
    """Fields of the training that are searched, by their own names."""
    return {
        key.removeprefix("training."): override[key].suggest(trial, key, integer=override[key].is_integer())
        for key in keys
        if key in override
    }


def _params(
    trial: Suggests,
    method: str,
    parameters: Parameters,
    context: Context,
    override: Mapping[str, Range],
    fix: Mapping[str, Value],
) -> dict[str, Value]:
    adjusted, space = Adjusted(trial, override, fix), _space(method)
    params = {**parameters, **(space.suggest(adjusted, context) if space else {})}
    for key, default in qualified(method, parameters).items():
        if key in adjusted.seen:
            continue
        if key in fix:
            params[key.removeprefix(f"{method}.")] = fix[key]
        elif key in override:
            integer = isinstance(default, int) and not isinstance(default, bool)
            params[key.removeprefix(f"{method}.")] = override[key].suggest(trial, key, integer=integer)
    return params
