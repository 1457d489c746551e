"""Trials that stand for Optuna's: one applies the spec's ranges and fixed values, one answers with a given point, one
notes the ranges."""

import math
from collections.abc import Mapping, Sequence

from search_spaces._space import Range, Suggests, Value


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


def _inside(value: Value, low: float, high: float) -> float:
    """`value` clipped to [low, high]; `low` where it is no number."""
    return min(max(value, low), high) if isinstance(value, int | float) else low
