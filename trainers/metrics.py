"""Regression metrics and their subject bootstrap, in float64."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.interval import Interval
from contrasweep.trainers.label_bins import label_bins

FloatArray = NDArray[np.float64]

_LOG_FLOOR = 1e-10
_BLOCK_BYTES = 2**25


def mae(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Mean absolute error over the last axis, in the label's unit.

    All metrics here take `y` and `prediction` [..., N] that broadcast against each other and reduce N.

    >>> float(mae([1.0, 2.0], [2.0, 4.0]))
    1.5
    """
    return _mean(np.abs(_errors(y, prediction)))


def mse(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Mean squared error over the last axis.

    >>> float(mse([1.0, 2.0], [2.0, 4.0]))
    2.5
    """
    return _mean(_errors(y, prediction) ** 2)


def geometric_mean(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Geometric mean of the absolute errors, exp(mean(log(|e| + 1e-10))) (Yang et al. 2021, imbalanced regression).

    >>> round(float(geometric_mean([1.0, 2.0], [2.0, 6.0])), 6)
    2.0
    """
    return np.exp(_mean(np.log(np.abs(_errors(y, prediction)) + _LOG_FLOOR)))


def pearson(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Pearson correlation; nan where either side is constant.

    >>> round(float(pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])), 12)
    1.0
    """
    centred_y, centred_prediction = _centred(y), _centred(prediction)
    covariance = np.sum(centred_y * centred_prediction, axis=-1)
    # A product of roots, not the root of a product: the squares of large labels would overflow.
    scale = np.linalg.norm(centred_y, axis=-1) * np.linalg.norm(centred_prediction, axis=-1)
    return _ratio(covariance, scale)


def r2(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Coefficient of determination, 1 - residual over total sum of squares; nan where `y` is constant.

    >>> float(r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]))
    0.0
    """
    residual = np.sum(_errors(y, prediction) ** 2, axis=-1)
    return 1 - _ratio(residual, np.sum(_centred(y) ** 2, axis=-1))


_BINS = 60
SHOTS = ("many", "medium", "few")

METRICS: Mapping[str, Callable[[ArrayLike, ArrayLike], FloatArray]] = MappingProxyType(
    {"mae": mae, "mse": mse, "gm": geometric_mean, "pearson": pearson, "r2": r2}
)


def bootstrap(
    y: ArrayLike,
    predictions: ArrayLike,
    repeats: int = 2000,
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
) -> dict[str, Interval]:
    """Every metric with a 95 % percentile interval over `repeats` resamples of the subjects.

    `y` [N] and `predictions` [S, N], one row for each seed. `clusters` [N] says whose each scan is, where subjects
    have several: these are drawn together (cluster bootstrap), for they are alike. The value is the mean over
    seeds of the metric, and so it is inside each resample: all seeds see the same resampled subjects. Resamples
    in which a metric is undefined (a constant sample) do not count.

    >>> bootstrap([1.0, 2.0, 3.0], [[2.0, 3.0, 4.0]])["mae"]
    Interval(value=1.0, low=1.0, high=1.0)
    """
    labels, outputs = np.asarray(y, np.float64), np.asarray(predictions, np.float64)
    assert outputs.ndim == 2 and outputs.shape[1:] == labels.shape and labels.size, (labels.shape, outputs.shape)
    members = _members(range(labels.size) if clusters is None else clusters)
    draws = np.random.default_rng(seed).integers(len(members), size=(repeats, len(members)))
    resampled: dict[str, list[FloatArray]] = {name: [] for name in METRICS}
    for block in _blocks(members, draws, max(1, _BLOCK_BYTES // (8 * outputs.size))):
        block_y, block_outputs = labels[block], outputs[:, block]
        for name, metric in METRICS.items():
            resampled[name].append(np.mean(metric(block_y, block_outputs), axis=0))
    return {
        name: _interval(float(np.mean(metric(labels, outputs))), np.concatenate(resampled[name]))
        for name, metric in METRICS.items()
    }


def _members(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    """Rows of each cluster [clusters, largest], in order of appearance and filled up with -1."""
    rows: dict[Hashable, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(row)
    largest = max(map(len, rows.values()))
    return np.array([[*some, *[-1] * (largest - len(some))] for some in rows.values()])


def _blocks(members: NDArray[np.int64], draws: NDArray[np.int64], at_most: int) -> Iterator[NDArray[np.int64]]:
    """The rows of each draw of clusters, as arrays of up to `at_most` draws that have equally many rows."""
    counts = np.sum(members >= 0, axis=1)[draws].sum(axis=1)
    for count in np.unique(counts):
        alike = draws[counts == count]
        for start in range(0, len(alike), at_most):
            rows = members[alike[start : start + at_most]]
            yield rows[rows >= 0].reshape(len(rows), count)


def shot_mae(
    y: ArrayLike, predictions: ArrayLike, train_labels: ArrayLike, bin_size: float | None = None
) -> dict[str, float]:
    """MAE apart for labels with many, a medium number of, and few training subjects, as `shot_regions` has them.

    `y` is [N], `predictions` [N] or [S, N], of which the mean is taken. A region that no subject is in is left out.

    >>> shot_mae([1.0, 7.0], [2.0, 9.0], [1.0] * 101)
    {'many': 1.0, 'few': 2.0}
    """
    errors, regions = np.abs(_errors(y, predictions)), shot_regions(y, train_labels, bin_size)
    inside = {name: regions == name for name in SHOTS}
    return {name: float(errors[..., rows].mean()) for name, rows in inside.items() if rows.any()}


def shot_regions(y: ArrayLike, train_labels: ArrayLike, bin_size: float | None = None) -> NDArray[np.str_]:
    """Of each label of `y` [N] whether there are many, medium or few training subjects like it (Yang et al. 2021).

    `many`: over 100 of `train_labels` [n] in the label's bin floor(y / bin_size); `medium`: 20 to 100; `few`: under
    20, none included. Bins are a label unit wide, or a sixtieth of the training labels' range where that is less.
    """
    width = narrow_bin(train_labels) if bin_size is None else bin_size
    occupied, counts = np.unique(numbered_bins(train_labels, width), return_counts=True)
    bins = numbered_bins(y, width)
    places = np.searchsorted(occupied, bins).clip(max=occupied.size - 1)
    shots = np.where(occupied[places] == bins, counts[places], 0)
    return np.select([shots > 100, shots >= 20], ["many", "medium"], "few")


def narrow_bin(labels: ArrayLike) -> float:
    """The width of bins in which labels [n] count as equal: a unit, or a sixtieth of their range where that is less."""
    return min(1.0, float(np.ptp(np.asarray(labels))) / _BINS) or 1.0


def numbered_bins(labels: ArrayLike, bin_size: float) -> FloatArray:
    """`label_bins` of an array [N]."""
    return label_bins(torch.from_numpy(np.asarray(labels, np.float64)), bin_size).numpy()


def _interval(value: float, resampled: FloatArray) -> Interval:
    defined = resampled[np.isfinite(resampled)]
    if not defined.size:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _mean(x: FloatArray) -> FloatArray:
    return np.asarray(x.mean(axis=-1))


def _errors(y: ArrayLike, prediction: ArrayLike) -> FloatArray:
    return np.asarray(prediction, np.float64) - np.asarray(y, np.float64)


def _centred(x: ArrayLike) -> FloatArray:
    values = np.asarray(x, np.float64)
    # Constant rows are centred to exact zeros: their mean need not be exactly their value.
    constant = values.max(axis=-1, keepdims=True) == values.min(axis=-1, keepdims=True)
    return np.where(constant, 0.0, values - values.mean(axis=-1, keepdims=True))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
