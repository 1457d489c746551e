"""Trials that stand for Optuna's: one applies the spec's ranges and fixed values, one answers with a given point, one
notes the ranges."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from contrasweep.search_spaces._space import Range, Refused, Suggests, Value

Answer = TypeVar("Answer", bound=Value)
Drawn = TypeVar("Drawn")


class Adjusted:
    """A trial whose fixed parameters are not asked for and whose overridden ones are asked in another range."""

    def __init__(self, trial: Suggests, override: Mapping[str, Range], fix: Mapping[str, Value]) -> None:
        self._trial = trial
        self._override = override
        self._fix = fix
        self.seen: set[str] = set()

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = self._adjusted(name, integer=True)
        if value is not None:
            assert isinstance(value, int)
            return value
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = self._adjusted(name, integer=False)
        if value is not None:
            assert isinstance(value, int | float)
            return float(value)
        return self._trial.suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        value = self._adjusted(name, integer=False)
        return value if value is not None else self._trial.suggest_categorical(name, choices)

    def _adjusted(self, name: str, *, integer: bool) -> Value:
        """The value the spec decides or has asked for; None where the space's own range holds."""
        self.seen.add(name)
        if name in self._fix:
            return self._fix[name]
        if name in self._override:
            return self._override[name].suggest(self._trial, name, integer=integer)
        return None


class Point:
    """A trial that answers with `values`, moved into the range asked for; `asked` keeps what it answered."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.asked: dict[str, Value] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = round(_inside(self._values.get(name), low, high))
        answer = low + (value - low) // step * step
        self.asked[name] = answer
        return answer

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = _inside(self._values.get(name), low, high)
        answer = value if step is None else low + math.floor((value - low) / step + 1e-9) * step
        self.asked[name] = answer
        return answer

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        value = self._values.get(name)
        answer = value if value in choices else choices[0]
        self.asked[name] = answer
        return answer


class Walk:
    """A trial that answers with the values that are at `path` among all that there are, and the first ones after it.

    `questions` has the numbers of answers to each question, `asked` what was answered, and `endless` the names of what
    has a range without steps.
    """

    def __init__(self, path: Sequence[int] = ()) -> None:
        self._path = path
        self.questions: list[int] = []
        self.asked: dict[str, Value] = {}
        self.endless: list[str] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._answer(name, range(low, high + 1, step))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if step is None and high > low:
            self.endless.append(name)
        return self._answer(
            name, [low + k * step for k in range(math.floor((high - low) / step + 1e-9) + 1)] if step else [low]
        )

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        return self._answer(name, choices)

    def _answer(self, name: str, values: Sequence[Answer]) -> Answer:
        place = len(self.questions)
        self.questions.append(len(values))
        value = values[self._path[place] if place < len(self._path) else 0]
        self.asked[name] = value
        return value

    def next_path(self) -> list[int] | None:
        """The path to the next values, of which the last change first; None at the end."""
        path = [*self._path, *[0] * (len(self.questions) - len(self._path))]
        while path and path[-1] == self.questions[len(path) - 1] - 1:
            path.pop()
        return [*path[:-1], path[-1] + 1] if path else None


class Ranges:
    """A trial that notes in words from where it is asked to draw."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        steps = f" in steps of {step}" if step > 1 else ""
        self.words[name] = f"{low} to {high}{steps}" + (", log" if log else "")
        return low

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.words[name] = (
            f"{low:g} to {high:g}" + (f" in steps of {step:g}" if step else "") + (", log" if log else "")
        )
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        self.words[name] = ", ".join(map(str, choices))
        return choices[0]


def product(draw: Callable[[Suggests], Drawn]) -> Iterator[tuple[dict[str, Value], Drawn]]:
    """All that `draw` may draw, with the values by name, in order.

    Raises Refused where something has a range without steps.
    """
    path: list[int] | None = []
    while path is not None:
        trial = Walk(path)
        drawn = draw(trial)
        if trial.endless:
            raise Refused(
                f"{', '.join(trial.endless)}: no list of values; give choices or a step under search.override, or a "
                f"value under search.fix"
            )
        yield trial.asked, drawn
        path = trial.next_path()


def _inside(value: Value, low: float, high: float) -> float:
    """`value` clipped to [low, high]; `low` where it is no number."""
    return min(max(value, low), high) if isinstance(value, int | float) else low
