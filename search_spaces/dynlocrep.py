"""DynLocRep (Dynamic Localized Repulsion, Eq. 1-4 and Algorithm 1)."""

import math
from collections.abc import Mapping

from search_spaces._invariants import above_zero, whole_number_in
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 0.1,
    "kernel": "rbf",
    "sigma": 2.0,
    "distance": "manhattan",
    "nn_final": 14,
    "nn_step_size": 1,
    "lam": math.inf,
    "reduction": "mean",
    "variant": "paper",
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature, kernel width, repulsion set and its schedule."""
    sigma = context.label_bounds(2.0)
    return {
        "temperature": trial.suggest_float("dynlocrep.temperature", 0.03, 1.0, log=True),
        "sigma": trial.suggest_float("dynlocrep.sigma", *sigma, log=True),
        "distance": trial.suggest_categorical("dynlocrep.distance", ["manhattan", "euclidean", "cosine", "chebyshev"]),
        "nn_final": trial.suggest_int("dynlocrep.nn_final", 2, context.batch_size),
        "nn_step_size": trial.suggest_int("dynlocrep.nn_step_size", 1, max(1, context.epochs // 5)),
        "lam": trial.suggest_categorical("dynlocrep.lam", [0.5, 1.0, 2.0, math.inf]),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """0 <= nn_final <= batch, 1 <= nn_step_size < epochs, temperature and sigma > 0, lam >= 0; two epochs or more."""
    if context.epochs < 2:
        raise ValueError("training.epochs: 1 is not allowed: dynlocrep's schedule needs 2 or more")
    above_zero(params, "dynlocrep", "temperature", "sigma")
    whole_number_in(params, "dynlocrep", "nn_final", 0, context.batch_size, "training.batch_size")
    whole_number_in(params, "dynlocrep", "nn_step_size", 1, context.epochs - 1, "training.epochs - 1")
    lam = params["lam"]
    assert isinstance(lam, int | float)
    if not lam >= 0:
        raise ValueError(f"dynlocrep.lam: {lam:g} is not allowed: must be 0 or above, inf for neighbours alone")
