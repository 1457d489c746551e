"""C-Mixup (Yao et al. 2022)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._regression import check_head, head
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {"bandwidth": 1.75, "alpha": 2.0, **head("mse")}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """How far partners' labels may be, and the Beta distribution of the mixing ratio."""
    return {
        "bandwidth": trial.suggest_float("c_mixup.bandwidth", *context.label_bounds(1.75), log=True),
        "alpha": trial.suggest_float("c_mixup.alpha", 0.1, 4.0, log=True),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """bandwidth and alpha are above 0 and finite, and the head's error is sound."""
    above_zero(params, "c_mixup", "bandwidth", "alpha")
    check_head(params, "c_mixup")
