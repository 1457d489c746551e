"""Errors by group: sex, site, band of the label, any column."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.resampling import subject_bootstrap

FEW = 20
"""With fewer people than this, a group's figures are not to be leaned on."""


@dataclass(frozen=True)
class GroupErrors:
    """How wrong predictions of a group are.

    Attributes:
        group: what its scans have in the column.
        mae: mean absolute error, in the label's unit, and 95 % subject bootstrap.
        bias: mean of prediction less label: above 0 where the label is overestimated.
    """

    group: str
    scans: int
    subjects: int
    mae: Interval
    bias: Interval

    @property
    def few(self) -> bool:
        """Whether it has so few people that its figures say little."""
        return self.subjects < FEW


def errors_by_group(
    predictions: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str],
    subjects: Sequence[Hashable] | None = None,
    repeats: int = 2000,
    seed: int = 0,
) -> tuple[GroupErrors, ...]:
    """The errors of each group, in order of the groups' first scans.

    `predictions` are [N], or [S, N] of several seeds, of which errors are the mean, as in `trainers.metrics.bootstrap`;
    `labels`, `groups` and `subjects` [N] are the scans'. The largest MAE is `worst_group_mae` of `trainers.objectives`;
    whether the embedding tells the group is its `site`.

    >>> one, two = errors_by_group([1.0, 2.0, 5.0], [0.0, 3.0, 3.0], ["F", "F", "M"])
    >>> one.group, one.mae.value, one.bias.value, two.mae.value, two.few
    ('F', 1.0, 0.0, 2.0, True)
    """
    said, y = np.atleast_2d(np.asarray(predictions, np.float64)), np.asarray(labels, np.float64)
    whose = range(y.size) if subjects is None else subjects
    assert said.shape[1:] == y.shape == (len(groups),) == (len(whose),), (said.shape, y.shape, len(groups), len(whose))

    def of(group: str) -> GroupErrors:
        rows = np.flatnonzero([other == group for other in groups])
        own, people = (y[rows], said[:, rows]), [whose[row] for row in rows.tolist()]

        def mean_error(drawn: NDArray[np.int64]) -> float:
            return float(np.mean(mae(own[0][drawn], own[1][:, drawn])))

        def bias(drawn: NDArray[np.int64]) -> float:
            return float(np.mean(own[1][:, drawn] - own[0][drawn]))

        figures = (subject_bootstrap(figure, people, repeats, seed) for figure in (mean_error, bias))
        return GroupErrors(group, len(rows), len(set(people)), *figures)

    return tuple(of(group) for group in dict.fromkeys(groups))


def label_bands(labels: ArrayLike, bands: int = 3) -> list[str]:
    """The band of each of `labels` [N], of `bands` with equally many; what is between two is of the upper.

    Bands are named to three digits of the labels' range.

    >>> label_bands([20.0, 50.0, 80.0])
    ['below 40', '40 to 60', '60 and above']
    """
    y = np.asarray(labels, np.float64)
    cuts = np.quantile(y, np.arange(1, bands) / bands)
    places = 2 - math.floor(math.log10(np.ptp(y) or 1))
    at = [f"{round(cut, places):.6g}" for cut in cuts.tolist()]
    between = [f"{low} to {high}" for low, high in pairwise(at)]
    names = [f"below {at[0]}", *between, f"{at[-1]} and above"]
    return [names[band] for band in np.digitize(y, cuts)]
