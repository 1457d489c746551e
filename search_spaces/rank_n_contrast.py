"""Rank-N-Contrast (Zha et al. 2023)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature."""
    return {"temperature": trial.suggest_float("rank_n_contrast.temperature", 0.5, 8.0, log=True)}
