"""Checks of a loss's parameters: each mistake is one UserError line with the field, the value and what is allowed."""

import math
from collections.abc import Iterable

from trainers.errors import UserError, nearest


def require_positive(loss: str, *, finite: bool = True, **values: float) -> None:
    """Every value is a number above 0, and below infinity where `finite`."""
    for field, value in values.items():
        if not is_number(value) or not value > 0 or (finite and math.isinf(value)):
            raise UserError(f"loss '{loss}': {field} is {value!r}; allowed: numbers above 0")


def require_at_least(loss: str, least: float, **values: float) -> None:
    """Every value is a number, at least `least`; whole numbers where `least` is an int."""
    for field, value in values.items():
        whole = isinstance(least, int)
        if not is_number(value) or not value >= least or (whole and not isinstance(value, int)):
            kind = "whole numbers" if whole else "numbers"
            raise UserError(f"loss '{loss}': {field} is {value!r}; allowed: {kind} from {least:g}")


def require_truth(loss: str, **values: bool) -> None:
    """Every value is true or false, and no word that means either."""
    for field, value in values.items():
        if not isinstance(value, bool):
            raise UserError(f"loss '{loss}': {field} is {value!r}; allowed: true, false")


def require_one_of(loss: str, field: str, value: str, allowed: Iterable[str]) -> None:
    """`value` is one of `allowed`."""
    options = list(allowed)
    if value not in options:
        raise UserError(f"loss '{loss}': unknown {field} '{value}'; {nearest(str(value), options)}")


def is_number(value: object) -> bool:
    """A real number that is neither a bool nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
