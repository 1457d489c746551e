"""Exponential contrastive regression (DynLocRep, Table 1)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 0.1,
    "kernel": "rbf",
    "sigma": 2.0,
    "reduction": "mean",
    "variant": "paper",
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and kernel width."""
    return {
        "temperature": trial.suggest_float("exponential.temperature", 0.03, 1.0, log=True),
        "sigma": trial.suggest_float("exponential.sigma", *context.label_bounds(2.0), log=True),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature and sigma are above 0."""
    above_zero(params, "exponential", "temperature", "sigma")
