"""The gap of a prediction, prediction less label, freed of its dependence on the label.

Predictions are drawn to the mean of what a model was trained on, so that the gap falls with age, and whatever else goes
with age goes with the gap. A correction says how the gap depends on age in people whom the model was not trained on
(validation or out-of-fold predictions), is kept, and is taken off the gap of new people of known age.

There is no corrected error on purpose. A correction is told the label: a model that says the mean of everyone would
have a corrected gap, and error, of exactly 0 (Butler et al. 2021, Pitfalls in brain age analyses; de Lange et al. 2022,
Mind the gap). MAE, r and R² are those of the predictions as they were; a corrected gap is for comparing people.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from contrasweep.trainers.config import Frozen
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import pearson
from contrasweep.trainers.resampling import subject_bootstrap

FloatArray = NDArray[np.float64]

_BANDS = 10
_LEAST_IN_A_BAND = 20


class LinearCorrection(Frozen):
    """What a straight line says of the gap: corrected gap = prediction - label - (intercept + slope * label).

    That is the residual of the gap regressed on age (Beheshti et al. 2019; the second step of Smith et al. 2019, linear
    in age; de Lange and Cole 2020, who regress the prediction on age and take prediction - (alpha age + beta): alpha is
    1 + slope). It is not (prediction - beta) / alpha - age of Cole et al. 2018, which inflates the gap by 1 / alpha.

    Attributes:
        intercept: in the label's unit. slope: of the gap, per unit of the label; 0 for a model without shrinkage.
    """

    intercept: float
    slope: float

    def apply(self, predictions: ArrayLike, labels: ArrayLike) -> FloatArray:
        """Corrected gaps [..., N] of predictions [..., N] of people with labels [N]."""
        y = np.asarray(labels, np.float64)
        return np.asarray(predictions, np.float64) - y - (self.intercept + self.slope * y)


class BandCorrection(Frozen):
    """What bands of age say of it: corrected gap = prediction - the median prediction at this label.

    Between the mean labels of the bands the median is interpolated; below and above the labels that were seen it stays
    as it is there. It follows a bias that is no straight line, and a few predictions far off do not move it.

    Attributes:
        labels, predictions: [K] each, the corners, both in ascending order.
    """

    labels: tuple[float, ...]
    predictions: tuple[float, ...]

    def apply(self, predictions: ArrayLike, labels: ArrayLike) -> FloatArray:
        """Corrected gaps [..., N] of predictions [..., N] of people with labels [N]."""
        expected = np.interp(np.asarray(labels, np.float64), self.labels, self.predictions)
        return np.asarray(predictions, np.float64) - expected


Correction = LinearCorrection | BandCorrection


def fit_linear(predictions: ArrayLike, labels: ArrayLike) -> LinearCorrection:
    """Least squares of the gap on the label, of predictions [N] that their model was not trained on.

    A residual of least squares does not correlate with what it was fitted on; in new people of the same ages its
    correlation is 0 but for the errors of intercept and slope, whatever the shape of the bias. Where the bias is
    curved, gaps of people of one age may still be off on average; `fit_bands` is for that.

    Raises UserError where the labels are all the same.

    >>> correction = fit_linear([30.0, 50.0, 70.0], [10.0, 50.0, 90.0])
    >>> correction.apply([42.0], [30.0]).round(6).tolist()
    [2.0]
    """
    y, said = _pair(predictions, labels)
    centred, gap = y - y.mean(), said - y
    slope = float(centred @ gap / (centred @ centred))
    return LinearCorrection(intercept=float(gap.mean() - slope * y.mean()), slope=slope)


def fit_bands(predictions: ArrayLike, labels: ArrayLike) -> BandCorrection:
    """Median predictions in ten bands of equally many people, fewer where a band would have under 20 of the [N].

    Medians are made to rise with the label (isotonic regression), and the first and last stretch are carried on to the
    lowest and highest label. Raises UserError where the labels are all the same.
    """
    y, said = _pair(predictions, labels)
    cuts = np.array_split(np.argsort(y, kind="stable"), max(2, min(_BANDS, y.size // _LEAST_IN_A_BAND)))
    starts = np.unique([y[cut[0]] for cut in cuts])  # people of one age are in one band
    if len(starts) == 1:
        starts = np.array([starts[0], y[y > starts[0]].min()])
    of = np.searchsorted(starts, y, side="right")
    bands = [np.flatnonzero(of == number) for number in np.unique(of)]
    corners = np.array([y[band].mean() for band in bands])
    medians = isotonic_regression([np.median(said[band]) for band in bands], weights=[*map(len, bands)]).x
    return _carried_on(corners, medians, y.min(), y.max())


def _carried_on(corners: FloatArray, medians: FloatArray, lowest: float, highest: float) -> BandCorrection:
    slopes = np.diff(medians) / np.diff(corners)
    low, high = medians[0] - slopes[0] * (corners[0] - lowest), medians[-1] + slopes[-1] * (highest - corners[-1])
    labels, predictions = (lowest, *corners, highest), (low, *medians, high)
    return BandCorrection(labels=tuple(map(float, labels)), predictions=tuple(map(float, predictions)))


def _pair(predictions: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Labels [N] and predictions [N]."""
    y, said = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    assert y.shape == said.shape and y.ndim == 1, (y.shape, said.shape)
    if y.size == 0 or y.min() == y.max():
        raise UserError(f"the gap cannot be corrected: the labels of {y.size} people are all the same")
    return y, said


@dataclass(frozen=True)
class Dependence:
    """How a gap depends on the label, with 95 % intervals: its slope, and its Pearson correlation."""

    slope: Interval
    correlation: Interval


def dependence(
    gaps: ArrayLike,
    labels: ArrayLike,
    subjects: Sequence[Hashable] | None = None,
    repeats: int = 2000,
    seed: int = 0,
) -> Dependence:
    """How `gaps` [N], or those of several seeds [S, N], depend on `labels` [N]; the mean over seeds.

    `subjects` [N] says whose each scan is, where people have several: they are resampled together.
    """
    gap, y = np.asarray(gaps, np.float64), np.asarray(labels, np.float64)
    whose = range(y.size) if subjects is None else subjects

    def slope(rows: NDArray[np.int64]) -> float:
        centred = y[rows] - y[rows].mean()
        squares = centred @ centred
        return float(np.mean(gap[..., rows] @ centred / squares)) if squares > 0 else np.nan

    def correlation(rows: NDArray[np.int64]) -> float:
        return float(np.mean(pearson(y[rows], gap[..., rows])))

    return Dependence(
        slope=subject_bootstrap(slope, whose, repeats, seed),
        correlation=subject_bootstrap(correlation, whose, repeats, seed),
    )
