"""Whether a scan is unlike those that a model was trained on, so that its prediction is not to be trusted.

Two detectors: of what an encoder makes of a scan, and of the prepared image itself, which needs no model. Each has a
score per scan, 0 or more, and a threshold that a new scan like those of validation is above with a probability of 5 %
at most: of their M scores that of rank ceil(0.95 (M + 1)). With fewer than 19 validation scans there is no such rank,
and nothing can be flagged at 5 %. A scan that both detectors look at is flagged wrongly up to twice as often: fit each
with half of it, then, to 39 scans or more.

Of 755 brain-extracted FLAIR slices (SOOP), with 400 trained on and 150 to validate, the image's detector flags all that
are shuffled, blank, constant with noise, turned by 90 or 180 degrees, inverted, or with a bright ring around the head,
and 5 % of those that are none of it. With 60 and 30 these are 94 % of axial slices turned by 180 degrees, 99 % or more
of all else, and 3 %. The detector of embeddings sees what the encoder shows: by 32 principal components it flags all
but the ring (14 %).

States are numpy arrays by name, for `numpy.savez` and `numpy.load` without pickles, or as tensors for a checkpoint.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf

from contrasweep.trainers.conformal import quantile

FloatArray = NDArray[np.float64]
State = dict[str, NDArray[Any]]

FALSE_ALARMS = 0.05
_NEIGHBOURS = 10
_CELLS = 16
_CONSTANT = 1e-6
"""Standard deviations up to this are those of rounding."""


@dataclass(frozen=True)
class EmbeddingDetector:
    """By features: the larger of Mahalanobis distance and mean distance to the 10 nearest training scans, each relative
    to its median over validation scans, of standardised features.

    Mahalanobis distance with a shrunk covariance (Lee et al. 2018; Ledoit and Wolf 2004), nearest neighbours as Sun et
    al. 2022: the first sees what is off in a direction that hardly varies, the second a gap between clusters.

    Attributes:
        mean, scale: [F]. precision: [F, F], of standardised training features. training: [N, F] float32, standardised.
        typical: [2], the medians. threshold: [], scores above it are flagged.
    """

    mean: FloatArray
    scale: FloatArray
    precision: FloatArray
    training: NDArray[np.float32]
    typical: FloatArray
    threshold: FloatArray

    @classmethod
    def fit(cls, training: ArrayLike, validation: ArrayLike, false_alarms: float = FALSE_ALARMS) -> "EmbeddingDetector":
        """Of features [N, F] that a model was trained on, and [M, F] that it was not."""
        mean, scale, precision = _gaussian(np.asarray(training, np.float64))
        standardised = ((np.asarray(training, np.float64) - mean) / scale).astype(np.float32)
        raw = cls(mean, scale, precision, standardised, np.ones(2), np.array(np.inf))
        distances = raw._distances(validation)
        typical = np.median(distances, axis=0)
        typical = np.where(typical > 0, typical, 1.0)
        threshold = quantile((distances / typical).max(axis=1), 1 - false_alarms)
        return cls(mean, scale, precision, standardised, typical, np.array(threshold))

    @classmethod
    def of(cls, state: Mapping[str, ArrayLike]) -> "EmbeddingDetector":
        """From its `state`, or one of tensors."""
        return cls(**{name: np.asarray(value) for name, value in state.items()})

    def state(self) -> State:
        """Its arrays by name."""
        return dict(vars(self))

    def score(self, features: ArrayLike) -> FloatArray:
        """Scores [n] of features [n, F]; about 1 for what is alike, nan where a feature is not finite."""
        return np.asarray((self._distances(features) / self.typical).max(axis=1))

    def flags(self, features: ArrayLike) -> NDArray[np.bool_]:
        """Whether each of [n] scans is unlike those of training; one whose features are not finite is."""
        return ~(self.score(features) <= self.threshold)

    def _distances(self, features: ArrayLike) -> FloatArray:
        """[n, 2]: Mahalanobis, and to the nearest."""
        x = (np.asarray(features, np.float64) - self.mean) / self.scale
        near = min(_NEIGHBOURS, len(self.training))
        nearest = np.partition(cdist(x, self.training), near - 1, axis=1)[:, :near].mean(axis=1)
        return np.stack([_mahalanobis(x, self.precision), nearest], axis=1)


@dataclass(frozen=True)
class ImageDetector:
    """By the image: Mahalanobis distance of a few numbers of each channel from those of training images.

    The numbers: mean and sd, in sds of the training images; the share of voxels at the minimum; the mean step between
    neighbours, relative to the sd; the correlation of the image in 16 cells an axis with the training images' mean, and
    with what that mean has and its mirror image along an axis, or itself with two axes exchanged, has not: these change
    their sign in an image that is turned. Along an axis where training images are symmetric a mirror image is not seen.

    Attributes:
        unit: [], sd of the voxels of training images. templates: [C, T, 16^D], unit vectors; T = 1 + D (D + 1) / 2.
        mean, scale: [K]. precision: [K, K], of training's standardised numbers; K = C (4 + T).
        threshold: [], scores above it are flagged.
    """

    unit: FloatArray
    templates: FloatArray
    mean: FloatArray
    scale: FloatArray
    precision: FloatArray
    threshold: FloatArray

    @classmethod
    def fit(
        cls,
        training: Iterable[NDArray[Any]],
        validation: Iterable[NDArray[Any]],
        false_alarms: float = FALSE_ALARMS,
    ) -> "ImageDetector":
        """Of prepared images [C, *S] that a model was trained on, and of those that it was not; each is read once."""
        numbers, coarse = _summaries(training)
        unit = np.sqrt(np.mean(numbers[..., 1] ** 2) + np.var(numbers[..., 0]))
        unit = np.array(unit if unit > 0 else 1.0)
        templates = _templates(coarse.mean(axis=0))
        mean, scale, precision = _gaussian(_profiles(numbers, coarse, unit, templates))
        raw = cls(unit, templates, mean, scale, precision, np.array(np.inf))
        threshold = quantile(raw.score(validation), 1 - false_alarms)
        return cls(unit, templates, mean, scale, precision, np.array(threshold))

    @classmethod
    def of(cls, state: Mapping[str, ArrayLike]) -> "ImageDetector":
        """From its `state`, or one of tensors."""
        return cls(**{name: np.asarray(value) for name, value in state.items()})

    def state(self) -> State:
        """Its arrays by name."""
        return dict(vars(self))

    def score(self, images: Iterable[NDArray[Any]]) -> FloatArray:
        """Scores [n] of n images [C, *S], each read once; nan where a voxel is not finite."""
        profiles = _profiles(*_summaries(images), self.unit, self.templates)
        return _mahalanobis((profiles - self.mean) / self.scale, self.precision)

    def flags(self, images: Iterable[NDArray[Any]]) -> NDArray[np.bool_]:
        """Whether each of n images is unlike those of training; one that is not finite is."""
        return ~(self.score(images) <= self.threshold)


def _gaussian(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and scale [F] of rows [N, F], and the shrunk precision [F, F] of the standardised rows."""
    deviation = x.std(axis=0)
    mean, scale = x.mean(axis=0), np.where(deviation > _CONSTANT, deviation, 1.0)
    return mean, scale, np.asarray(LedoitWolf(assume_centered=True).fit((x - mean) / scale).precision_)


def _mahalanobis(x: FloatArray, precision: FloatArray) -> FloatArray:
    """Distances [n] of standardised rows [n, F]."""
    return np.asarray(np.sqrt(np.einsum("nf,fg,ng->n", x, precision, x, optimize=True)))


def _summaries(images: Iterable[NDArray[Any]]) -> tuple[FloatArray, FloatArray]:
    """Of each image mean, sd, share at the minimum and mean step [n, C, 4], and its coarse image [n, C, 16, ...]."""
    both = [(_numbers(image.astype(np.float64)), _coarse(image.astype(np.float64))) for image in images]
    numbers, coarse = zip(*both, strict=True)
    return np.stack(numbers), np.stack(coarse)


def _numbers(image: FloatArray) -> FloatArray:
    voxels = image.reshape(len(image), -1)
    lowest, highest = voxels.min(axis=1, keepdims=True), voxels.max(axis=1, keepdims=True)
    lows = (voxels <= lowest + 0.01 * (highest - lowest)).mean(axis=1)
    steps = [np.abs(np.diff(image, axis=axis)).reshape(len(image), -1) for axis in range(1, image.ndim)]
    return np.stack([voxels.mean(1), voxels.std(1), lows, np.concatenate(steps, axis=1).mean(1)], axis=1)


def _coarse(image: FloatArray) -> FloatArray:
    """Means of 16 cells along each axis but the first, less the mean of all; of a shorter axis some voxels twice."""
    for axis in range(1, image.ndim):
        ends = np.linspace(0, image.shape[axis], _CELLS + 1).astype(int)
        counts = np.maximum(np.diff(ends), 1).reshape([-1 if one == axis else 1 for one in range(image.ndim)])
        image = np.add.reduceat(image, ends[:-1], axis=axis) / counts
    return np.asarray(image - image.mean(axis=tuple(range(1, image.ndim)), keepdims=True))


def _templates(mean: FloatArray) -> FloatArray:
    """[C, T, 16^D] of the mean coarse image [C, 16, ...]: itself, and how it differs from mirror images and turns."""
    axes = range(1, mean.ndim)
    turned = [np.flip(mean, axis) for axis in axes] + [np.swapaxes(mean, *pair) for pair in combinations(axes, 2)]
    together = np.stack([mean, *(mean - other for other in turned)], axis=1)
    return _unit(together.reshape(*together.shape[:2], -1))


def _profiles(numbers: FloatArray, coarse: FloatArray, unit: FloatArray, templates: FloatArray) -> FloatArray:
    """What images are judged by [n, K]."""
    mean, sd, lows, steps = np.moveaxis(numbers, -1, 0)
    rough = steps / np.where(sd > 0, sd, 1.0)
    own = _unit(coarse.reshape(*coarse.shape[:2], -1))
    alike = np.einsum("ncv,ctv->nct", own, templates)
    told = np.concatenate([np.stack([mean / unit, sd / unit, lows, rough], axis=-1), alike], axis=-1)
    return told.reshape(len(told), -1)


def _unit(x: FloatArray) -> FloatArray:
    """Rows of length 1, or 0 where they are 0."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1.0))
