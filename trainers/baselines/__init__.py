"""Baselines: simple models that a trained one should beat; one file each, built by name: `build("pca_ridge")`."""

from contrasweep.trainers.baselines.base import BASELINES, Baseline, Fitted, Training, fit_all
from contrasweep.trainers.baselines.scans import Reader, Scans

names = BASELINES.names
get = BASELINES.get
build = BASELINES.build

__all__ = ["Baseline", "Fitted", "Reader", "Scans", "Training", "build", "fit_all", "get", "names"]
