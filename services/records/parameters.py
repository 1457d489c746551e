"""Parameters of a configuration in JSON, which has no number for infinity: there it is the text `inf`."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer


def to_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what JSON has no number for as text.

    >>> to_json({"lam": math.inf, "nn_final": 14})
    {'lam': 'inf', 'nn_final': 14}
    """
    return {name: str(value) if _is_special(value) else value for name, value in values.items()}


def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `to_json`."""
    return {name: float(value) if value in ("inf", "-inf", "nan") else value for name, value in values.items()}


def _is_special(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


Parameters = Annotated[dict[str, Any], BeforeValidator(from_json), PlainSerializer(to_json, when_used="json")]
