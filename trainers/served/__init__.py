"""A trained model that takes scans as they come: what prepares them as in training, what predicts, what it knows."""

from contrasweep.trainers.served.calibration import Calibration
from contrasweep.trainers.served.config import FILE, ServedConfig, Trained
from contrasweep.trainers.served.detectors import Detectors
from contrasweep.trainers.served.evaluation import SampleEvaluation, evaluate_sample
from contrasweep.trainers.served.model import Prediction, ServedModel, save_served
from contrasweep.trainers.served.preparation import Preparation

__all__ = [
    "FILE",
    "Calibration",
    "Detectors",
    "Prediction",
    "Preparation",
    "SampleEvaluation",
    "ServedConfig",
    "ServedModel",
    "Trained",
    "evaluate_sample",
    "save_served",
]
