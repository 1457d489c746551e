"""What a baseline is, what it is fitted on, and how its settings are chosen inside that."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.baselines._components import principal_components
from contrasweep.trainers.baselines.scans import Scans
from contrasweep.trainers.registry import Registry

FloatArray = NDArray[np.float64]
Encoder = Callable[[Scans], FloatArray]
"""Features [N, F] of scans."""

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Features:
    """Features that were learned without labels: for each fold from the scans outside it alone, and from all scans.

    Attributes:
        folds: of each fold the features of the scans outside it, and of those in it.
        everyone: [N, F], by `encode`, which is learned from all.
    """

    folds: Sequence[tuple[FloatArray, FloatArray]]
    everyone: FloatArray
    encode: Encoder


@dataclass(frozen=True, eq=False)
class Training:
    """N scans to fit a baseline on, with their labels [N] and whose they are.

    `folds` are the rows outside and in each of up to FOLDS folds; all scans of a subject are in one. There are none
    where there is one subject.
    """

    scans: Scans
    labels: FloatArray
    subjects: Sequence[Hashable]
    seed: int = 0

    @cached_property
    def folds(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """See the class."""
        from sklearn.model_selection import GroupKFold  # a second to import

        people = {subject: place for place, subject in enumerate(dict.fromkeys(self.subjects))}
        groups = [people[subject] for subject in self.subjects]
        if len(people) < 2:
            return []
        folds = GroupKFold(min(FOLDS, len(people)), shuffle=True, random_state=self.seed)
        return list(folds.split(groups, groups=groups))

    @cached_property
    def components(self) -> Features:
        """Principal components of the images, the widest first, on a scale on which the first has unit variance."""
        return self.learn(self._components_of)

    def learn(self, encoder_of: Callable[[Scans], Encoder]) -> Features:
        """Features by an encoder that `encoder_of` learns from scans."""
        folds = []
        for outside, inside in self.folds:
            known = self.scans.at(outside)
            encode = encoder_of(known)
            folds.append((encode(known), encode(self.scans.at(inside))))
        encode = encoder_of(self.scans)
        return Features(folds, encode(self.scans), encode)

    def some(self, most: int) -> "Training":
        """At most so many of the scans, drawn by the seed."""
        if len(self.scans) <= most:
            return self
        rows = np.sort(np.random.default_rng(self.seed).choice(len(self.scans), most, replace=False))
        subjects = [self.subjects[row] for row in rows]
        return Training(self.scans.at(rows), self.labels[rows], subjects, self.seed)

    def _components_of(self, known: Scans) -> Encoder:
        encode = principal_components(known.voxels, self.seed)
        return lambda scans: encode(scans.voxels)


@dataclass(frozen=True)
class Fitted:
    """A baseline that was fitted; `cross_validated_mae` is inside what it was fitted on, nan for a single subject."""

    predict: Callable[[Scans], FloatArray]
    cross_validated_mae: float


class Baseline(Protocol):
    """A simple model that predicts labels; `title` is what people call it, and `reads_images` whether it does."""

    title: ClassVar[str]
    reads_images: ClassVar[bool]

    def fit(self, training: Training) -> Fitted | None:
        """Fit it, its settings chosen by cross-validation over the training's folds.

        None where there is nothing to predict by. Random draws follow from the training's seed alone.
        """
        ...


BASELINES: Registry[Baseline] = Registry("baseline", "contrasweep.trainers.baselines")


def fit_all(training: Training) -> dict[str, Fitted]:
    """Every baseline that can be fitted, by its name."""
    fitted = {name: BASELINES.build(name).fit(training) for name in BASELINES.names()}
    return {name: one for name, one in fitted.items() if one is not None}


def tuned(training: Training, features: Features, candidates: Sequence[Any]) -> Fitted:
    """Fit the scikit-learn regressor of `candidates` that has the least cross-validated MAE, of equals the first."""
    told = np.full((len(candidates), len(training.labels)), np.nan)
    for (outside, inside), (known, held_out) in zip(training.folds, features.folds, strict=True):
        for place, candidate in enumerate(candidates):
            told[place, inside] = candidate.fit(known, training.labels[outside]).predict(held_out)
    errors = np.abs(told - training.labels).mean(axis=1)
    chosen = int(errors.argmin())
    best = candidates[chosen].fit(features.everyone, training.labels)
    return Fitted(lambda scans: np.asarray(best.predict(features.encode(scans)), np.float64), float(errors[chosen]))
