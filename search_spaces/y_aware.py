"""Y-Aware InfoNCE (DynLocRep, Table 1)."""

from contrasweep.search_spaces import exponential
from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """As of `exponential`."""
    return exponential.suggest(trial, context, "y_aware")
