"""SupCon (Khosla et al. 2020), whose classes are labels or bins of them."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {"temperature": 0.1, "bin_size": None, "reduction": "mean"}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature; how labels become classes is the baseline's definition, and stays unless overridden."""
    return {"temperature": trial.suggest_float("supcon.temperature", 0.03, 1.0, log=True)}


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature is above 0, and so are bins where there are any."""
    above_zero(params, "supcon", *(("temperature", "bin_size") if params["bin_size"] is not None else ("temperature",)))
