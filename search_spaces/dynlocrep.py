"""DynLocRep (Dynamic Localized Repulsion, Eq. 1-4 and Algorithm 1)."""

import math
from collections.abc import Mapping

from contrasweep.search_spaces._space import Context, Refused, Suggests, Value


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
    """Raise Refused where there are fewer samples in a batch than `nn_final`, or one epoch, no schedule."""
    if context.epochs == 1:
        raise Refused("training.epochs: 1 is not allowed: dynlocrep's schedule needs 2 or more")
    nn_final = params["nn_final"]
    if isinstance(nn_final, int) and nn_final > context.batch_size:
        raise Refused(
            f"dynlocrep.nn_final: {nn_final} is not allowed: must be a whole number of 0 to {context.batch_size} "
            f"(training.batch_size)"
        )
