"""Rank-N-Contrast (Zha et al. 2023)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {"temperature": 2.0, "on": "encoder", "reduction": "mean"}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature."""
    return {"temperature": trial.suggest_float("rank_n_contrast.temperature", 0.5, 8.0, log=True)}


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature is above 0."""
    above_zero(params, "rank_n_contrast", "temperature")
