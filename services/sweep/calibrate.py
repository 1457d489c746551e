"""What is served said of scans that its runs were not trained on, and what that tells of new ones."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.final_report import Evaluation
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.data.store import Rows, VolumeStore, in_parts
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.served import Calibration, Detectors
from contrasweep.trainers.served.detectors import MOST
from contrasweep.trainers.weighted import weighted_mean


class Known(NamedTuple):
    """What a served model is told of people whom it was not trained on; None where there are too few."""

    calibration: Calibration | None
    detectors: Detectors | None


def calibrate(
    prepared: Prepared,
    validated: Mapping[Replicate, Predictor],
    weights: Mapping[Replicate, float],
    out_of_fold: Evaluation | None,
    refitted: bool,
) -> Known:
    """From the runs that were validated, each on the scans of its own validation split; of folds that is `out_of_fold`.

    `weights` are the runs' in their mean, empty where all count alike. Where the served model was refitted, on these
    scans too, there is nothing to tell its embedding by; otherwise it is that of the first run.
    """
    store, splits = prepared.store, prepared.first.splits
    if not splits.validation or (prepared.folds and out_of_fold is None):
        return Known(None, None)
    if out_of_fold is not None:
        calibration = Calibration.fit(out_of_fold.mean_prediction, out_of_fold.labels, out_of_fold.subjects)
    else:
        rows = store.rows_of(splits.validation)
        said = np.concatenate([_mean(validated, weights, store, part) for part in in_parts(store, rows)])
        calibration = Calibration.fit(said, store.labels[rows], [store.subjects[row].subject for row in rows])
    training, validation = (_some(store, of) for of in (splits.train, splits.validation))
    first = None if refitted else next(iter(validated.values()))
    features = None if first is None else (_features(first, store, training), _features(first, store, validation))
    return Known(calibration, Detectors.fit(_images(store, training), _images(store, validation), features))


def _mean(
    predictors: Mapping[Replicate, Predictor], weights: Mapping[Replicate, float], store: VolumeStore, part: Rows
) -> NDArray[np.float64]:
    """The mean prediction over runs of each scan."""
    cells = store.cells_of(part.rows)
    return weighted_mean({run: one.infer(part.images, cells).predictions for run, one in predictors.items()}, weights)


def _some(store: VolumeStore, ids: tuple[str, ...]) -> NDArray[np.int64]:
    """Rows of scans, of many only some at equal distances."""
    rows = store.rows_of(ids)
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(np.int64)]


def _images(store: VolumeStore, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    for part in in_parts(store, rows):
        yield from part.images


def _features(predictor: Predictor, store: VolumeStore, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    def of(part: Rows) -> NDArray[np.float32]:
        return predictor.infer(part.images, store.cells_of(part.rows)).features

    return np.concatenate([of(part) for part in in_parts(store, rows)])
