"""NNCLR (Dwibedi et al. 2021)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "temperature": 0.1,
    "hidden": 4096,
    "queue_size": 98304,
    "reduction": "mean",
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Temperature and length of the queue, which training bounds by the number of samples."""
    return {
        "temperature": trial.suggest_float("nnclr.temperature", 0.03, 1.0, log=True),
        "queue_size": trial.suggest_int("nnclr.queue_size", context.batch_size, 98304, log=True),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """Temperature, hidden and queue_size are above 0."""
    above_zero(params, "nnclr", "temperature", "hidden", "queue_size")
