"""Mixup of images and labels (Zhang et al. 2018), as C-Mixup's baseline for regression."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """The Beta distribution of the mixing ratio."""
    return {"alpha": trial.suggest_float("mixup.alpha", 0.1, 4.0, log=True)}
