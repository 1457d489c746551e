"""NNCLR (Dwibedi et al. 2021)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and length of the queue, which training bounds by the number of samples."""
    return {
        "temperature": trial.suggest_float("nnclr.temperature", 0.03, 1.0, log=True),
        "queue_size": trial.suggest_int("nnclr.queue_size", context.batch_size, 98304, log=True),
    }
