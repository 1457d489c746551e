"""Prediction intervals for one person: which labels go with a prediction, so that 9 of 10 people are inside theirs."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from contrasweep.trainers.config import Frozen
from contrasweep.trainers.errors import UserError

FloatArray = NDArray[np.float64]

_BANDS = 3
_LEAST_IN_A_BAND = 20
_LEAST_TO_CUT = 100
"""People, from whom on at most 2 % of new ones have a label beyond all that were seen."""


class Conformal(Frozen):
    """Intervals around rescaled predictions, as wide as errors were in people of the label that is in question.

    A label is in a person's interval if the prediction is not further from it than `level` of the calibration people of
    that label's band were from theirs.

    Attributes:
        level: the coverage that is aimed at.
        intercept, slope: rescale a prediction to the labels' mean and standard deviation.
        edges: [B - 1], in ascending order, between bands of the label.
        widths: [B], half the width in each band, in the label's unit.
        lowest, highest: labels that intervals are cut at; None where they are not.
    """

    level: float
    intercept: float
    slope: float
    edges: tuple[float, ...]
    widths: tuple[float, ...]
    lowest: float | None = None
    highest: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_no_spread(cls, given: Any) -> Any:
        """Models of before had a `floor` that was never anything."""
        return {name: value for name, value in given.items() if name != "floor"} if isinstance(given, dict) else given

    def interval(self, predictions: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Both ends [N] of predictions [N]."""
        centre, half = self.intercept + self.slope * np.asarray(predictions, np.float64), np.array(self.widths)
        below, above = np.array([-np.inf, *self.edges]), np.array([*self.edges, np.inf])
        # In a band labels from centre - half to centre + half are kept; ends are the outermost of any band.
        first, last = centre[:, None] - half, centre[:, None] + half
        low = np.where(first <= above, np.maximum(first, below), np.inf).min(axis=1)
        high = np.where(last >= below, np.minimum(last, above), -np.inf).max(axis=1)
        low, high = np.minimum(low, high), np.maximum(low, high)
        return np.clip(low, self.lowest, self.highest), np.clip(high, self.lowest, self.highest)


def fit_conformal(predictions: ArrayLike, labels: ArrayLike, level: float = 0.9) -> Conformal:
    """Calibrate intervals on `predictions` [N] of people with `labels` [N] whom the model was not trained on.

    Split-conformal with validation predictions, and cross-conformal with pooled out-of-fold ones, for new people who
    are predicted by the mean of the folds' models (Vovk 2015; Barber et al. 2021 bound the coverage of CV+, which this
    simplifies, by 2 level - 1 and find `level` in practice). One scan for each person: scans of one are alike.

    A model draws predictions to the mean. Intervals of one width around them miss the youngest and oldest third of
    people far more often than the middle one, and so do widths by band of the prediction (Mondrian, Vovk et al. 2005),
    which does not see who is at the ends. So predictions are rescaled to the labels' mean and sd, and widths are those
    of thirds of the label (label-conditional conformal prediction, Vovk 2012): each third is covered at `level` in
    finite samples, but for the two numbers of the rescaling. With fewer than 60 people there is one band, to promise
    coverage of everyone together alone. From 100 on intervals are cut at the labels that were seen.

    Simulated at 90 % with 200 people, R² of 0.35 to 0.85, predictions drawn further to the mean than that, errors that
    grow or shrink with the label, even and skewed ages, in the mean of 40 draws: coverage 0.904 to 0.917, and 0.893 or
    more in each third. One width: 0.729 in the worst third; bands of the prediction: 0.783; thirds of the label around
    the regression of prediction on label: 0.898, intervals 4 % to 25 % longer. Of one draw it may be 0.78 in a third:
    the promise is over people who are calibrated on, too.

    Raises UserError where `level` cannot be reached by so few people.
    """
    said, y = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
    assert said.shape == y.shape and y.ndim == 1 and 0 < level < 1, (said.shape, y.shape, level)
    if math.isinf(quantile(y, level)):
        raise UserError(f"intervals of {level:.0%} need {math.ceil(level / (1 - level) - 1e-9)} people, not {y.size}")
    slope = float(y.std() / said.std()) if said.std() > 0 else 0.0
    intercept = float(y.mean() - slope * said.mean())
    errors = np.abs(intercept + slope * said - y)
    edges = _edges(y, level)
    bands = np.digitize(y, edges)
    cut = y.size >= _LEAST_TO_CUT
    return Conformal(
        level=level,
        intercept=intercept,
        slope=slope,
        edges=tuple(edges.tolist()),
        widths=tuple(quantile(errors[bands == band], level) for band in range(len(edges) + 1)),
        lowest=float(y.min()) if cut else None,
        highest=float(y.max()) if cut else None,
    )


def quantile(scores: ArrayLike, level: float) -> float:
    """The least of `scores` [N] that a new one is below, or equal to, with probability `level` or more: that of rank
    ceil((N + 1) level) (Lei et al. 2018, Eq. 2); infinite where N is too small for it.

    >>> quantile(range(1, 20), 0.9), quantile(range(1, 20), 0.95), quantile(range(1, 19), 0.95)
    (18.0, 19.0, inf)
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    rank = math.ceil((ordered.size + 1) * level - 1e-9)
    return float(ordered[rank - 1]) if rank <= ordered.size else math.inf


def _edges(y: FloatArray, level: float) -> FloatArray:
    """Labels between thirds of equally many people; none where a third would be too small."""
    edges = np.quantile(y, np.arange(1, _BANDS) / _BANDS)
    counts = np.bincount(np.digitize(y, edges), minlength=_BANDS)
    large = all(count >= _LEAST_IN_A_BAND and math.isfinite(quantile(range(count), level)) for count in counts)
    return edges if large else edges[:0]
