"""What the end-to-end methods share: their regression head's error, and bins of labels."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Value


def head(kind: str) -> dict[str, Value]:
    """Published parameters of a head that minimises the error `kind`."""
    return {"kind": kind, "bend": 1.0, "bins": 101}


def check_head(params: Mapping[str, Value], method: str) -> None:
    """The bend is above 0 and finite, and there are two label bins or more."""
    above_zero(params, method, "bend")
    _at_least(params, method, "bins", 2)


def check_label_bins(params: Mapping[str, Value], method: str) -> None:
    """Bin size and sigma are above 0 and finite, and the kernel has an odd number of bins."""
    above_zero(params, method, "bin_size", "sigma")
    _at_least(params, method, "kernel_size", 1)
    kernel_size = params["kernel_size"]
    assert isinstance(kernel_size, int)
    if kernel_size % 2 == 0:
        raise ValueError(f"{method}.kernel_size: {kernel_size} is not allowed: must be odd")


def _at_least(params: Mapping[str, Value], method: str, key: str, least: int) -> None:
    value = params[key]
    assert isinstance(value, int)
    if value < least:
        raise ValueError(f"{method}.{key}: {value} is not allowed: must be {least} or above")
