"""What the table tells beside the image, without the image: whether a model reads age, or site and sex."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.baselines.base import BASELINES, Encoder, Fitted, Training, tuned
from contrasweep.trainers.baselines.scans import Scans
from contrasweep.trainers.covariates import Cells, Covariates

_PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
"""For each scan."""
_MISSING = "n/a"


@BASELINES.register("covariates")
@dataclass(frozen=True)
class CovariatesAlone:
    """Ridge on `data.covariates` and the columns that tell site and sex: one-hot or numbers, standardised.

    A category that training has not counts as the mean, as in `trainers.covariates`.
    """

    title: ClassVar[str] = "covariates alone"
    reads_images: ClassVar[bool] = False

    def fit(self, training: Training) -> Fitted | None:
        """As `Baseline.fit`; None where the table tells nothing beside the images."""
        from sklearn.linear_model import Ridge

        columns = sorted({column for cells in training.scans.cells for column in cells})
        if not columns:
            return None
        features = training.learn(partial(_encoder_of, columns))
        return tuned(training, features, [Ridge(alpha=penalty * len(training.labels)) for penalty in _PENALTIES])


def _encoder_of(columns: list[str], known: Scans) -> Encoder:
    covariates = Covariates.fit(columns, _whole(known, columns))

    def encode(scans: Scans) -> NDArray[np.float64]:
        return covariates.encode(_whole(scans, columns)).astype(np.float64)

    return encode


def _whole(scans: Scans, columns: list[str]) -> list[Cells]:
    return [{column: cells.get(column, _MISSING) for column in columns} for cells in scans.cells]
