"""SupReMix (arXiv 2309.16633, Eq. 1-6)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature, window of the positive mixtures, and the Beta distribution of the mixing share."""
    window = context.label_bounds(5.0)
    return {
        "temperature": trial.suggest_float("supremix.temperature", 0.1, 2.0, log=True),
        "window": trial.suggest_float("supremix.window", *window, log=True),
        "alpha": trial.suggest_float("supremix.alpha", 1.0, 8.0),
        "beta": trial.suggest_float("supremix.beta", 2.0, 10.0),
    }
