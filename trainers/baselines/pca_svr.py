"""Principal components of the images, and support vector regression: what a shallow model makes of them."""

from dataclasses import dataclass
from typing import ClassVar

from contrasweep.trainers.baselines._components import COUNTS, first_components
from contrasweep.trainers.baselines.base import BASELINES, Fitted, Training, tuned

_COSTS = (0.1, 1.0, 10.0)
"""C, on standardised labels."""
_MOST_SCANS = 2_000
"""Its time grows with the square of their number."""


@BASELINES.register("pca_svr")
@dataclass(frozen=True)
class PcaSvr:
    """SVR with a Gaussian kernel on the first principal components; how many and C are chosen together.

    Where there are more scans to train on than 2,000, it is fitted on so many of them, drawn at random.
    """

    title: ClassVar[str] = "PCA + SVR"
    reads_images: ClassVar[bool] = True

    def fit(self, training: Training) -> Fitted:
        """As `Baseline.fit`."""
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR

        candidates = [
            TransformedTargetRegressor(
                make_pipeline(first_components(count), SVR(C=cost, cache_size=500)), transformer=StandardScaler()
            )
            for count in COUNTS
            for cost in _COSTS
        ]
        training = training.some(_MOST_SCANS)
        return tuned(training, training.components, candidates)
