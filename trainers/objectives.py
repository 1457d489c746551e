"""What configurations may be compared by: each figure of the validation split, its direction, unit and measure.

Another one is another entry of `OBJECTIVES`. Importing this imports neither torch nor numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Group = TypeVar("Group")
FOLDS = 5


class Judged(NamedTuple):
    """What a model says of the validation split, scan by scan: float64 labels [N] and predictions [N], groups [N], and
    the features [N, F] of the images alone, without covariates.
    """

    labels: NDArray[np.float64]
    predictions: NDArray[np.float64]
    groups: NDArray[np.int64]
    features: NDArray[Any]


def worst_group_mae(judged: Judged) -> float:
    """The largest MAE of any group that is in the validation split, in the label's unit."""
    from contrasweep.trainers.metrics import mae

    members = (judged.groups == group for group in set(judged.groups.tolist()))
    return max(float(mae(judged.labels[one], judged.predictions[one])) for one in members)


def told_apart(groups: Iterable[Group]) -> list[Group]:
    """The groups of scans that are large enough to be told apart. Raises UserError where they are not two."""
    large = [group for group, scans in Counter(groups).items() if scans >= FOLDS]
    if len(large) < 2:
        raise UserError(
            f"search.objective: site is not allowed: it needs two groups of at least {FOLDS} scans in the validation "
            f"split, which has {len(large)}"
        )
    return large


def site(judged: Judged) -> float:
    """Balanced accuracy of telling the group by the embedding; chance is 1 / the number of groups.

    Of a linear (ridge) classifier on standardised features, whose penalty is chosen on the scans it is fitted on,
    over FOLDS stratified folds, drawn the same each time. Groups with fewer than FOLDS scans are left out. A person's
    scans may be in several folds: where people come again, at one site each, it is also an accuracy of telling people.

    Raises UserError where there are not two groups to tell.
    """
    import numpy as np
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept = np.isin(judged.groups, told_apart(judged.groups.tolist()))
    features, groups = judged.features[kept], judged.groups[kept]
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 6, 10), class_weight="balanced"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return float(balanced_accuracy_score(groups, cross_val_predict(probe, features, groups, cv=folds)))


@dataclass(frozen=True)
class Objective:
    """A figure of the validation split.

    Attributes:
        name: in a spec. title: in a sentence.
        scale: of a figure, what differences to it are in proportion to: the figure itself, for an error.
        power: of the label's unit that it is in: 0, 1 or 2.
        higher: whether more is better.
        measure: None for those of `trainers.metrics.METRICS`, which are measured anyway.
        grouped: whether it needs the groups of `data.group`.
    """

    name: str
    title: str
    scale: Callable[[float], float] = abs
    power: int = 0
    higher: bool = False
    measure: Callable[[Judged], float] | None = None
    grouped: bool = False

    @property
    def key(self) -> str:
        """Its name in an epoch's metrics, and in MLflow."""
        return f"validation_{self.name}"

    @property
    def heading(self) -> str:
        """Its name for people."""
        return f"validation {self.title}"

    def turned(self, value: float) -> float:
        """A figure as it is ranked, less being better; and what is ranked as the figure that it is."""
        return -value if self.higher else value


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        one.name: one
        for one in (
            Objective("mae", "MAE", power=1),
            Objective("mse", "MSE", lambda mse: 2 * mse, power=2),
            Objective("gm", "geometric mean error", power=1),
            # A mean squared error is in proportion to 1 - R², and that is about 1 - r² of a calibrated prediction.
            Objective("pearson", "Pearson's r", lambda r: 1 - r**2, higher=True),
            Objective("r2", "R²", lambda r2: 2 * (1 - r2), higher=True),
            Objective("worst_group_mae", "worst-group MAE", power=1, measure=worst_group_mae, grouped=True),
            Objective("site", "site accuracy", measure=site, grouped=True),
        )
    }
)
DEFAULT = "mae"
