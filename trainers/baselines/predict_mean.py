"""The mean of the training labels for everyone: the best guess for the squared error."""

from dataclasses import dataclass
from typing import ClassVar

from contrasweep.trainers.baselines._constant import nothing
from contrasweep.trainers.baselines.base import BASELINES, Fitted, Training, tuned


@BASELINES.register("predict_mean")
@dataclass(frozen=True)
class PredictMean:
    """The mean of the training labels."""

    title: ClassVar[str] = "predict-the-mean"
    reads_images: ClassVar[bool] = False

    def fit(self, training: Training) -> Fitted:
        """As `Baseline.fit`."""
        from sklearn.dummy import DummyRegressor

        return tuned(training, training.learn(nothing), [DummyRegressor(strategy="mean")])
