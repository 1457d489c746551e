"""What `exponential`, `y_aware` and `threshold` share: parameters, ranges and invariants (DynLocRep, Table 1)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 0.1,
    "kernel": "rbf",
    "sigma": 2.0,
    "reduction": "mean",
    "variant": "paper",
}


def suggest_kernelised(trial: Suggests, context: Context, method: str) -> dict[str, Value]:
    """Temperature and kernel width."""
    return {
        "temperature": trial.suggest_float(f"{method}.temperature", 0.03, 1.0, log=True),
        "sigma": trial.suggest_float(f"{method}.sigma", *context.label_bounds(2.0), log=True),
    }


def check_kernelised(params: Mapping[str, Value], method: str) -> None:
    """Temperature and sigma are above 0."""
    above_zero(params, method, "temperature", "sigma")
