"""Label distribution smoothing (Yang et al. 2021)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Size of the label bins, their kernel, and how density becomes weight."""
    return {
        "bin_size": trial.suggest_float("lds.bin_size", *context.label_bounds(1.0), log=True),
        "reweight": trial.suggest_categorical("lds.reweight", ["sqrt_inverse", "inverse"]),
        "kernel_size": trial.suggest_int("lds.kernel_size", 3, 15, step=2),
        "sigma": trial.suggest_float("lds.sigma", 0.5, 4.0, log=True),
    }
