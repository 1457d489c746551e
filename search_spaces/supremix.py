"""SupReMix (arXiv 2309.16633, Eq. 1-6)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 0.5,
    "window": 5.0,
    "window_unit": "label",
    "alpha": 2.0,
    "beta": 8.0,
    "weight": "ratio",
    "mix_neg": True,
    "mix_pos": True,
    "renormalise": True,
    "detach_mixtures": False,
    "reduction": "mean",
    "variant": "paper",
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature, window of the positive mixtures, and the Beta distribution of the mixing share."""
    window = context.label_bounds(5.0)
    return {
        "temperature": trial.suggest_float("supremix.temperature", 0.1, 2.0, log=True),
        "window": trial.suggest_float("supremix.window", *window, log=True),
        "alpha": trial.suggest_float("supremix.alpha", 1.0, 8.0),
        "beta": trial.suggest_float("supremix.beta", 2.0, 10.0),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature, alpha and beta are above 0 and finite; the window is above 0, infinite for no bound."""
    above_zero(params, "supremix", "temperature", "alpha", "beta")
    above_zero(params, "supremix", "window", finite=False)
