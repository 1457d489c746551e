"""Rules of parameters: said once, in the annotation of a component's constructor, and checked when it is built.

`temperature: Positive = 0.1` is all that a component says of a parameter; what relates several stays code.
"""

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from contrasweep.trainers.errors import UserError, nearest

Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveOrInfinite: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NotNegativeOrInfinite: TypeAlias = Annotated[float, Field(ge=0)]
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
BelowOne: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
UpToOne: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Whole: TypeAlias = Annotated[int, Field(ge=0)]
Degrees: TypeAlias = Annotated[float, Field(ge=0, le=180)]
ZoomFactor: TypeAlias = Annotated[float, Field(ge=0, le=0.9)]
Several: TypeAlias = Annotated[int, Field(ge=2)]
Reduction: TypeAlias = Literal["mean", "sum"]


def _is_odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError
    return value


OddCount: TypeAlias = Annotated[int, Field(ge=1), AfterValidator(_is_odd)]

_KINDS = {float: "numbers", int: "whole numbers", bool: "true, false", str: "names"}


class WrongParameter(UserError):
    """A parameter whose value its rule does not allow."""

    def __init__(self, component: str, parameter: str, value: object, annotation: Any) -> None:
        self.parameter, self.value, self.said = parameter, value, _complaint(parameter, value, annotation)
        super().__init__(f"{component}: {self.said}")


def guard(kind: str, name: str, component: type[Any]) -> None:
    """Have the constructor of `component` raise WrongParameter on a value that its parameter's annotation refuses.

    Those of its bases then trust it.
    """
    construct, signature = component.__init__, inspect.signature(component.__init__)
    rules = functools.cache(lambda: rules_of(component))

    @functools.wraps(construct)
    def guarded(self: object, *args: Any, **kwargs: Any) -> None:
        if type(self) is component:
            check_all(f"{kind} '{name}'", signature.bind(self, *args, **kwargs).arguments, rules())
        construct(self, *args, **kwargs)

    setattr(component, "__init__", guarded)  # noqa: B010  # a method cannot be assigned to


def check_all(component: str, values: Mapping[str, object], rules: Mapping[str, Any]) -> None:
    """Raise WrongParameter on the first of the values that its rule refuses."""
    for parameter, value in values.items():
        if parameter in rules:
            check(component, parameter, value, rules[parameter])


def rules_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters that a spec can set: numbers, truth values and names, or null."""
    build = factory.__init__ if inspect.isclass(factory) else factory
    hints = get_type_hints(build, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return" and _is_rule(hint)}


def check(component: str, parameter: str, value: object, annotation: Any) -> None:
    """Raise WrongParameter where `annotation` refuses `value`."""
    try:
        _adapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        _refuse(component, parameter, value, annotation)


def rule(annotation: Any) -> str:
    """What is allowed, in words; numbers are finite where no `inf` is said.

    >>> rule(Positive), rule(OddCount), rule(Literal["mean", "sum"]), rule(BelowOne | None)
    ('numbers above 0', 'odd numbers from 1', 'mean, sum', 'numbers from 0 to below 1, or null')
    >>> rule(PositiveOrInfinite), rule(NotNegativeOrInfinite)
    ('numbers above 0, or inf', 'numbers from 0, or inf')
    """
    options = [option for option in _options(annotation) if option is not type(None)]
    null = ", or null" if len(options) < len(_options(annotation)) else ""
    return ", ".join(_rule(option) for option in options) + null


def is_whole(annotation: Any) -> bool:
    """Whether only whole numbers are allowed."""
    return any(_plain(option)[0] is int for option in _options(annotation))


def _refuse(component: str, parameter: str, value: object, annotation: Any) -> NoReturn:
    raise WrongParameter(component, parameter, value, annotation) from None


def _complaint(parameter: str, value: object, annotation: Any) -> str:
    names = [name for option in _options(annotation) if get_origin(option) is Literal for name in get_args(option)]
    if names:
        return f"unknown {parameter} '{value}'; {nearest(str(value), names)}"
    return f"{parameter} is {value!r}; allowed: {rule(annotation)}"


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _is_rule(annotation: Any) -> bool:
    return all(
        get_origin(option) is Literal or option is type(None) or _plain(option)[0] in _KINDS
        for option in _options(annotation)
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; else the annotation itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _plain(annotation: Any) -> tuple[Any, list[Any]]:
    """An annotation without its bounds, and these."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    plain, *extra = get_args(annotation)
    return plain, [bound for one in extra for bound in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _rule(option: Any) -> str:
    if get_origin(option) is Literal:
        return ", ".join(map(str, get_args(option)))
    plain, bounds = _plain(option)
    kind = "odd numbers" if any(getattr(bound, "func", None) is _is_odd for bound in bounds) else _KINDS[plain]
    return f"{kind}{_between(bounds)}{', or inf' if _may_be_infinite(plain, bounds) else ''}"


def _may_be_infinite(plain: Any, bounds: list[Any]) -> bool:
    bounded = any(isinstance(b, Lt | Le) or getattr(b, "allow_inf_nan", True) is False for b in bounds)
    return plain is float and not bounded


def _between(bounds: list[Any]) -> str:
    limits: Mapping[type, float] = {type(b): _limit(b) for b in bounds if isinstance(b, Gt | Ge | Lt | Le)}
    if Gt in limits and Lt in limits:
        return f" between {limits[Gt]:g} and {limits[Lt]:g}"
    low = f" above {limits[Gt]:g}" if Gt in limits else f" from {limits[Ge]:g}" if Ge in limits else ""
    if Le in limits:
        return f"{low}, up to {limits[Le]:g}" if Gt in limits else f"{low} to {limits[Le]:g}"
    return f"{low} to below {limits[Lt]:g}" if Lt in limits else low


def _limit(bound: Any) -> Any:
    return next(getattr(bound, name) for name in ("gt", "ge", "lt", "le") if hasattr(bound, name))
