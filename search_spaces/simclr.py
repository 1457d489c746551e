"""SimCLR (Chen et al. 2020)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {"temperature": 0.5, "reduction": "mean"}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature."""
    return {"temperature": trial.suggest_float("simclr.temperature", 0.05, 1.0, log=True)}


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature is above 0."""
    above_zero(params, "simclr", "temperature")
