"""A trained model that takes scans as they come: what prepares them as in training, what predicts, what it knows."""

from trainers.served.calibration import Calibration
from trainers.served.config import FILE, ServedConfig, Trained
from trainers.served.detectors import Detectors
from trainers.served.evaluation import SampleEvaluation, evaluate_sample
from trainers.served.model import Prediction, ServedModel, save_served
from trainers.served.preparation import Preparation

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
