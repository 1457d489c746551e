"""What runs predict together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Run = TypeVar("Run")
Said = TypeVar("Said", "float", "NDArray[np.float64]", "Tensor")


def weighted_mean(said: Mapping[Run, Said], weights: Mapping[Run, float]) -> Said:
    """The mean of what runs said, predictions [N] or one each, by `weights`; where these are empty, all count alike.

    It is added up in the order of the runs, so that it is the same to the last bit for one scan and for many.

    >>> weighted_mean({"a": 40.0, "b": 50.0}, {"a": 0.25, "b": 0.75}), weighted_mean({"a": 40.0, "b": 50.0}, {})
    (47.5, 45.0)
    """
    counted = {run: weights[run] if weights else 1.0 for run in said}
    return reduce(add, (counted[run] * predictions for run, predictions in said.items())) / sum(counted.values())
