"""A served model: an ensemble of runs, in front of it what prepares a scan, and what it says of one."""

import shutil
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import DataConfig, RunConfig
from contrasweep.trainers.covariates import Cells
from contrasweep.trainers.data.transforms import path_arguments
from contrasweep.trainers.data.volume import Scan
from contrasweep.trainers.inference import Predictor, load_ensemble, save_ensemble
from contrasweep.trainers.served.card import CARD, card
from contrasweep.trainers.served.config import FILE, ServedConfig, without_study
from contrasweep.trainers.served.detectors import Detectors
from contrasweep.trainers.served.preparation import Preparation
from contrasweep.trainers.weighted import weighted_mean

FILES = "files"


@dataclass(frozen=True)
class Prediction:
    """What a model says of a scan, in the label's unit.

    Attributes:
        prediction: the mean over its runs, by their weights; `sd` is their standard deviation, None for one run.
        interval: holds the label of 9 in 10 people, of any third of the labels; None where nothing was calibrated.
        features: the embedding [F] of each run, by its name, float32; runs share no axes.
        unlike: in what the scan is unlike those of training, in words; empty where it is not.
    """

    prediction: float
    sd: float | None
    interval: tuple[float, float] | None
    features: dict[str, NDArray[np.float32]]
    unlike: str


class ServedModel:
    """A model in a folder that `save_served` wrote."""

    def __init__(
        self, preparation: Preparation, members: Mapping[str, Predictor], detectors: Detectors | None = None
    ) -> None:
        self.preparation = preparation
        self._members, self._detectors = members, detectors
        self._first = next(iter(members))

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "ServedModel":
        """The model in `folder`; nothing is unpickled. Raises UserError as `ServedConfig.read` does."""
        return cls(Preparation.load(folder), load_ensemble(folder, device), Detectors.read(folder))

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """The covariates that it reads beside an image: their categories in training, none for a number."""
        covariates = self._members[self._first].covariates
        return covariates.levels if covariates else {}

    def predict(self, scan: Scan, covariates: Cells) -> Prediction:
        """What the model says of a prepared scan."""
        inferred = {name: member.infer(scan.values[None], [covariates]) for name, member in self._members.items()}
        said = {name: float(one.predictions[0]) for name, one in inferred.items()}
        config = self.preparation.config
        prediction, calibration = weighted_mean(said, config.weights), config.calibration
        features = {name: one.features[0] for name, one in inferred.items()}
        return Prediction(
            prediction=prediction,
            sd=statistics.stdev(said.values()) if len(said) > 1 else None,
            interval=calibration.interval(prediction) if calibration else None,
            features=features,
            unlike="; ".join([*self._unlike(scan), *self._detected(scan, features[self._first])]),
        )

    def _unlike(self, scan: Scan) -> Iterator[str]:
        for (name, known), source in zip(self.preparation.config.trained.sources.items(), scan.sources, strict=True):
            for words in known.unlike(source):
                yield f"{name}: {words}" if name else words

    def _detected(self, scan: Scan, features: NDArray[np.float32]) -> list[str]:
        return self._detectors.unlike(scan.values, features) if self._detectors else []


def save_served(
    folder: Path,
    members: Mapping[str, tuple[RunConfig, Path]],
    config: ServedConfig,
    base: Path,
    detectors: Detectors | None = None,
    how_well: str = "",
) -> None:
    """Write the model of runs, each told by what it was told and its `best.pt`, into a new `folder`.

    `config.data` is the study's, whose transforms' files are relative to `base`: they are copied. `config.weights` are
    the runs', by their names. `how_well` is what the model's card says of its errors.
    """
    save_ensemble(folder, members, config.image_shape)
    data = without_study(config.data, _with_files(config.data, base, folder))
    told = config.model_copy(update={"data": data})
    if detectors is not None:
        detectors.write(folder)
    write_atomically(folder / CARD, card(told, {name: run for name, (run, _) in members.items()}, how_well).encode())
    write_atomically(folder / FILE, told.model_dump_json(indent=1).encode())


def _with_files(data: DataConfig, base: Path, folder: Path) -> list[dict[str, dict[str, Any]]]:
    """The transforms, with the files that they read copied into `folder`."""
    steps = []
    for number, ((name, arguments),) in enumerate(step.items() for step in data.transforms):
        moved = dict(arguments)
        for key in path_arguments(name):
            if moved.get(key) is not None:
                source = base / str(moved[key])
                moved[key] = f"{FILES}/{number}-{source.name}"
                (folder / FILES).mkdir(exist_ok=True)
                shutil.copyfile(source, folder / moved[key])
        steps.append({name: moved})
    return steps
