"""Feature distribution smoothing (Yang et al. 2021)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Size of the label bins, their kernel, and how slowly the statistics move."""
    return {
        "bin_size": trial.suggest_float("fds.bin_size", *context.label_bounds(1.0), log=True),
        "kernel_size": trial.suggest_int("fds.kernel_size", 3, 15, step=2),
        "sigma": trial.suggest_float("fds.sigma", 0.5, 4.0, log=True),
        "momentum": trial.suggest_float("fds.momentum", 0.5, 0.95),
    }
