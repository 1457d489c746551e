"""Principal components of the images, and ridge regression: what a linear model makes of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from contrasweep.trainers.baselines._components import COUNTS, first_components
from contrasweep.trainers.baselines.base import BASELINES, Fitted, Training, tuned

_PENALTIES = np.logspace(1, -5, 13)
"""For each scan, on scores of which the first component's have unit variance."""


@BASELINES.register("pca_ridge")
@dataclass(frozen=True)
class PcaRidge:
    """Ridge on the first principal components; how many and the penalty are chosen together."""

    title: ClassVar[str] = "PCA + ridge"
    reads_images: ClassVar[bool] = True

    def fit(self, training: Training) -> Fitted:
        """As `Baseline.fit`."""
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline

        scans = len(training.labels)
        candidates = [
            make_pipeline(first_components(count), Ridge(alpha=penalty * scans))
            for count in COUNTS
            for penalty in _PENALTIES
        ]
        return tuned(training, training.components, candidates)
