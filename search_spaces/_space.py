"""What a search space is made of: the trial it asks, the context it adapts to, the ranges a user may set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator

Value: TypeAlias = bool | int | float | str | None


class Suggests(Protocol):
    """The part of an Optuna trial that a search space uses."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value: ...


class Refused(ValueError):
    """What a user chose cannot be searched; the message is one line and says what is allowed."""


@dataclass(frozen=True)
class Context:
    """What ranges and invariants depend on.

    `batch_size` is global; `epochs` is 0 where nothing is trained; `label_range` is max - min of the training labels in
    the label's own unit, None before the data have been read. Raises Refused where the labels are all the same.
    """

    batch_size: int
    epochs: int
    label_range: float | None = None
    views: int = 2

    def __post_init__(self) -> None:
        if self.label_range is not None and not self.label_range > 0:
            raise Refused(f"label range is {self.label_range:g}; it must be above 0")

    def label_bounds(self, published: float) -> tuple[float, float]:
        """Sensible bounds of a length on the label axis: a hundredth to a quarter of the range.

        Without a range: a quarter of to four times the published value.
        """
        if self.label_range is None:
            return published / 4, published * 4
        return self.label_range / 100, self.label_range / 4


class Space(Protocol):
    """One method's module in this package."""

    def suggest(self, trial: Suggests, context: Context) -> dict[str, Value]: ...


class Range(BaseModel):
    """A range that replaces a parameter's own: `low` and `high` (with `log` or `step`), or `choices`.

    >>> Range(low=2, high=24).ends()
    (2, 24)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: tuple[bool | int | float | str, ...] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Range":
        bounds = (self.low, self.high)
        if self.choices is not None:
            if bounds != (None, None) or self.log or self.step is not None:
                raise ValueError("give either choices or low and high, not both")
            if not self.choices:
                raise ValueError("choices is empty")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if not -float("inf") < self.low <= self.high < float("inf"):
            raise ValueError(f"low {self.low} and high {self.high} must be finite and in order")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"log needs low > 0 and no step; low is {self.low}, step is {self.step}")
        if self.step is not None and not self.step > 0:
            raise ValueError(f"step is {self.step}; it must be above 0")
        return self

    def ends(self) -> tuple[Value, ...]:
        """The values that bound the range, and of whole numbers the second one; every choice where it is a list."""
        if self.choices is not None:
            return self.choices
        if isinstance(self.low, int) and self.is_integer() and self.high != self.low:
            step, high = int(self.step or 1), int(self.high or 0)
            return (self.low, min(self.low + step, high), self.low + (high - self.low) // step * step)
        return (self.low, self.high)

    def numbers(self) -> tuple[Value, ...]:
        """Everything given that must be of the parameter's kind: the ends, and the step."""
        given = self.choices if self.choices is not None else (self.low, self.high)
        return given if self.step is None else (*given, self.step)

    def is_integer(self) -> bool:
        """Whether everything given is a whole number."""
        return all(isinstance(value, int) and not isinstance(value, bool) for value in self.numbers())

    def suggest(self, trial: Suggests, name: str, *, integer: bool) -> Value:
        """Ask `trial` for `name` within this range."""
        if self.choices is not None:
            return trial.suggest_categorical(name, self.choices)
        assert self.low is not None and self.high is not None
        if integer:
            return trial.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
