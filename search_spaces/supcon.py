"""SupCon (Khosla et al. 2020), whose classes are labels or bins of them."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature; how labels become classes is the baseline's definition, and stays unless overridden."""
    return {"temperature": trial.suggest_float("supcon.temperature", 0.03, 1.0, log=True)}
