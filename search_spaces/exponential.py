"""Exponential contrastive regression (DynLocRep, Table 1)."""

from collections.abc import Mapping

from search_spaces._kernelised import PUBLISHED, check_kernelised, suggest_kernelised
from search_spaces._space import Context, Suggests, Value

__all__ = ["PUBLISHED", "check", "suggest"]


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and kernel width."""
    return suggest_kernelised(trial, context, "exponential")


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature and sigma are above 0."""
    check_kernelised(params, "exponential")
