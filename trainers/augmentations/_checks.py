"""Checks of an augmentation's parameters: each mistake is one line with the field, the value and what is allowed."""

import math
from collections.abc import Sequence

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


def require_dims(augmentation: str, image_shape: Sequence[int], *allowed: int) -> None:
    """Images of shape (C, *spatial) have one of the `allowed` numbers of spatial dimensions."""
    dims = len(image_shape) - 1
    if dims not in allowed:
        raise UserError(
            f"augmentation '{augmentation}': the images have {dims} spatial dimension{'s' * (dims > 1)}; "
            f"allowed: {' or '.join(map(str, allowed))}"
        )
