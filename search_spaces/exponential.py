"""Exponential contrastive regression (DynLocRep, Table 1)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context, method: str = "exponential") -> dict[str, Value]:
    """Temperature and kernel width."""
    return {
        "temperature": trial.suggest_float(f"{method}.temperature", 0.03, 1.0, log=True),
        "sigma": trial.suggest_float(f"{method}.sigma", *context.label_bounds(2.0), log=True),
    }
