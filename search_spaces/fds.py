"""Feature distribution smoothing (Yang et al. 2021)."""

from collections.abc import Mapping

from search_spaces._regression import check_head, check_label_bins, head
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "bin_size": 1.0,
    "kernel_size": 5,
    "sigma": 2.0,
    "momentum": 0.9,
    "start_smooth": 1,
    "reweight": False,
    **head("l1"),
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Size of the label bins, their kernel, and how slowly the statistics move."""
    return {
        "bin_size": trial.suggest_float("fds.bin_size", *context.label_bounds(1.0), log=True),
        "kernel_size": trial.suggest_int("fds.kernel_size", 3, 15, step=2),
        "sigma": trial.suggest_float("fds.sigma", 0.5, 4.0, log=True),
        "momentum": trial.suggest_float("fds.momentum", 0.5, 0.95),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """The label bins, their kernel and the head's error are sound; 0 <= momentum < 1; start_smooth is 0 or above."""
    check_label_bins(params, "fds")
    check_head(params, "fds")
    momentum, start_smooth = params["momentum"], params["start_smooth"]
    assert isinstance(momentum, int | float) and isinstance(start_smooth, int)
    if not 0 <= momentum < 1:
        raise ValueError(f"fds.momentum: {momentum:g} is not allowed: must be from 0 to below 1")
    if start_smooth < 0:
        raise ValueError(f"fds.start_smooth: {start_smooth} is not allowed: must be 0 or above")
