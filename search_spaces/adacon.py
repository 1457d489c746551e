"""AdaCon (Dai et al. 2021), at the point of the authors' code."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 1 / 150,
    "margin": 2.0,
    "reduction": "mean",
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and margin."""
    return {
        "temperature": trial.suggest_float("adacon.temperature", 0.003, 0.3, log=True),
        "margin": trial.suggest_float("adacon.margin", 0.0, 4.0),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature is above 0, margin 0 or above; both are finite."""
    above_zero(params, "adacon", "temperature")
    margin = params["margin"]
    assert isinstance(margin, int | float)
    if not 0 <= margin < float("inf"):
        raise ValueError(f"adacon.margin: {margin:g} is not allowed: must be finite and 0 or above")
