"""Mixup of images and labels (Zhang et al. 2018), as C-Mixup's baseline for regression."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._regression import check_head, head
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {"alpha": 2.0, **head("mse")}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """The Beta distribution of the mixing ratio."""
    return {"alpha": trial.suggest_float("mixup.alpha", 0.1, 4.0, log=True)}


def check(params: Mapping[str, Value], context: Context) -> None:
    """alpha is above 0 and finite, and the head's error is sound."""
    above_zero(params, "mixup", "alpha")
    check_head(params, "mixup")
