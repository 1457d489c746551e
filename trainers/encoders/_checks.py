"""Checks of an encoder's own parameters: each mistake is one line with the field, the value and what is allowed."""

from trainers.errors import UserError


def require_from(encoder: str, least: int, **values: int) -> None:
    """Every value is a whole number, at least `least`."""
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"encoder '{encoder}': {field} is {value!r}; allowed: whole numbers from {least}")


def require_probability(encoder: str, **values: float) -> None:
    """Every value is a number from 0 to below 1."""
    for field, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
            raise UserError(f"encoder '{encoder}': {field} is {value!r}; allowed: numbers from 0 to below 1")


def require_truth(encoder: str, **values: bool) -> None:
    """Every value is true or false, and no word that means either."""
    for field, value in values.items():
        if not isinstance(value, bool):
            raise UserError(f"encoder '{encoder}': {field} is {value!r}; allowed: true, false")
