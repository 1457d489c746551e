"""Whether the embedding tells a group: where it tells the site, errors and biases may come from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.interval import Interval
from contrasweep.trainers.resampling import Rows, subject_bootstrap

FOLDS = 5
LEAST = 2 * FOLDS
"""People of a group, with fewer of whom it is left out."""
RUNS, COMPONENTS = 3, 50
"""Runs that are asked, and principal components of the features of each: with more it takes minutes."""


@dataclass(frozen=True)
class GroupTold:
    """How well a group is told by the embedding.

    Attributes:
        groups: how many there are to tell. people: of these groups.
        accuracy: balanced accuracy, the mean over groups of the share that is told right, with its 95 % subject
            bootstrap interval; of several runs the mean over the first three.
    """

    groups: int
    people: int
    accuracy: Interval

    @property
    def chance(self) -> float:
        """What guessing reaches."""
        return 1 / self.groups


def group_told(
    features: Mapping[str, ArrayLike], groups: Sequence[str | None], subjects: Sequence[str], repeats: int = 2000
) -> GroupTold | None:
    """How well the `groups` [N] of scans of `subjects` [N] are told by each run's `features` [N, F].

    By logistic regression on standardised features, or the first 50 principal components of more, groups weighing
    alike, over five folds in which a subject's scans are on one side, drawn the same each time. Scans of no group
    (None), and groups of fewer than 10 people, are left out. None where fewer than two groups are left.
    """
    people = {group: {who for who, own in zip(subjects, groups, strict=True) if own == group} for group in {*groups}}
    large = {group for group, own in people.items() if group is not None and len(own) >= LEAST}
    if len(large) < 2:
        return None
    rows = [row for row, group in enumerate(groups) if group in large]
    known, whose = np.array([groups[row] for row in rows]), [subjects[row] for row in rows]
    right = np.mean([_is_right(np.asarray(of)[rows], known, whose) for of in islice(features.values(), RUNS)], axis=0)

    def balanced(drawn: Rows) -> float:
        there = (known[drawn] == group for group in large)
        return float(np.mean([right[drawn][one].mean() for one in there if one.any()]))

    return GroupTold(len(large), len({*whose}), subject_bootstrap(balanced, whose, repeats))


def _is_right(features: NDArray[np.floating], groups: NDArray[np.str_], subjects: Sequence[str]) -> NDArray[np.bool_]:
    """Which scans [N] are told right by those of the other folds."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    few = [PCA(COMPONENTS, random_state=0)] if min(len(features) // 2, features.shape[1]) > COMPONENTS else []
    probe = make_pipeline(StandardScaler(), *few, LogisticRegression(max_iter=2000, class_weight="balanced"))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    told: NDArray[np.bool_] = cross_val_predict(probe, features, groups, groups=subjects, cv=folds) == groups
    return told
