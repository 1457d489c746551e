"""Checks of an augmentation's parameters: each mistake is one line with the field, the value and what is allowed."""

import math

from trainers.errors import UserError


def require_within(augmentation: str, low: float, high: float, **values: float) -> None:
    """Every value is a finite number from `low` to `high`."""
    for field, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high:
            limit = f" to {high:g}" if math.isfinite(high) else ""
            raise UserError(
                f"augmentation '{augmentation}': {field} is {value!r}; allowed: numbers from {low:g}{limit}"
            )
