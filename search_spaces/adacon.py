"""AdaCon (Dai et al. 2021), at the point of the authors' code."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and margin."""
    return {
        "temperature": trial.suggest_float("adacon.temperature", 0.003, 0.3, log=True),
        "margin": trial.suggest_float("adacon.margin", 0.0, 4.0),
    }
