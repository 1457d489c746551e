"""SimCLR (Chen et al. 2020)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature."""
    return {"temperature": trial.suggest_float("simclr.temperature", 0.05, 1.0, log=True)}
