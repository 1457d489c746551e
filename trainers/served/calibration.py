"""What a model's predictions of people whom it was not trained on say of the next person's."""

from collections.abc import Hashable, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from contrasweep.trainers.age_gap import BandCorrection, LinearCorrection, fit_bands, fit_linear
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.conformal import Conformal, fit_conformal

LEVEL = 0.9
"""The share of people whose label is to be inside their interval."""
_LEAST = 20
"""People, with fewer of whom nothing is fitted."""


class Calibration(Frozen):
    """Fitted on validation or out-of-fold predictions of so many `people`, one scan each.

    Attributes:
        conformal: a person's interval; see there.
        linear, bands: what the gap, prediction less label, owes to the label; see `trainers.age_gap`.
    """

    people: int
    conformal: Conformal
    linear: LinearCorrection
    bands: BandCorrection

    def interval(self, prediction: float) -> tuple[float, float]:
        """Both ends for a prediction."""
        low, high = self.conformal.interval([prediction])
        return float(low[0]), float(high[0])

    def corrected(self, prediction: float, label: float) -> tuple[float, float]:
        """The gap without what it owes to the label, by a line and by bands."""
        by_line, by_bands = (one.apply([prediction], [label]) for one in (self.linear, self.bands))
        return float(by_line[0]), float(by_bands[0])

    @classmethod
    def fit(cls, predictions: ArrayLike, labels: ArrayLike, subjects: Sequence[Hashable]) -> Self | None:
        """Of the mean predictions [N] over runs that were not trained on these scans with `labels` [N], of whom.

        None where fewer than 20 people, or people of one label alone, cannot say anything.
        """
        first = list({subject: row for row, subject in reversed(list(enumerate(subjects)))}.values())
        said, y = np.asarray(predictions, np.float64)[first], np.asarray(labels, np.float64)[first]
        if len(first) < _LEAST or y.min() == y.max():
            return None
        return cls(
            people=len(first),
            conformal=fit_conformal(said, y, LEVEL),
            linear=fit_linear(said, y),
            bands=fit_bands(said, y),
        )
