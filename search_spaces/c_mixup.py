"""C-Mixup (Yao et al. 2022)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """How far partners' labels may be, and the Beta distribution of the mixing ratio."""
    return {
        "bandwidth": trial.suggest_float("c_mixup.bandwidth", *context.label_bounds(1.75), log=True),
        "alpha": trial.suggest_float("c_mixup.alpha", 0.1, 4.0, log=True),
    }
