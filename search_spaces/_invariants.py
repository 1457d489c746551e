"""Checks that several methods share; each raises ValueError in one line."""

from collections.abc import Mapping

from search_spaces._space import Value


def above_zero(params: Mapping[str, Value], method: str, *keys: str, finite: bool = True) -> None:
    """Each of `keys` is a number above 0, and below infinity where `finite`."""
    for key in keys:
        value = params[key]
        assert isinstance(value, int | float)
        if not value > 0:
            raise ValueError(f"{method}.{key}: {value:g} is not allowed: must be above 0")
        if finite and value == float("inf"):
            raise ValueError(f"{method}.{key}: {value:g} is not allowed: must be finite")


def whole_number_in(params: Mapping[str, Value], method: str, key: str, low: int, high: int, limit: str) -> None:
    """`key` is a whole number of low..high, where `limit` says what sets the upper end."""
    value = params[key]
    assert isinstance(value, int)
    if not low <= value <= high:
        raise ValueError(f"{method}.{key}: {value} is not allowed: must be a whole number of {low} to {high} ({limit})")


def of_kind(key: str, published: Value, value: Value) -> None:
    """`value` is of the kind that `published` is: truth value, whole number, number (also for None) or name."""
    truth, whole, number = isinstance(value, bool), isinstance(value, int), isinstance(value, int | float)
    if isinstance(published, bool):
        kind, fits = "true or false", truth
    elif isinstance(published, int):
        kind, fits = "a whole number", whole and not truth
    elif published is None or isinstance(published, float):
        kind, fits = "a number", number and not truth
    else:
        kind, fits = "a name", isinstance(value, str)
    if not fits:
        raise ValueError(f"{key}: {value} is not allowed: must be {kind}")
