"""What the winner said of scans that its runs were not trained on, and what that tells of new ones."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.data.prepare import Prepared
from services.spec.replicate import Replicate
from services.sweep.jury import whole_seeds
from trainers.data.store import Rows, VolumeStore, in_parts
from trainers.inference import Predictor
from trainers.served import Calibration, Detectors
from trainers.served.detectors import MOST


class Known(NamedTuple):
    """What a served model is told of people whom it was not trained on; None where there are too few."""

    calibration: Calibration | None
    detectors: Detectors | None


def calibrate(prepared: Prepared, validated: Mapping[Replicate, Predictor], refitted: bool) -> Known:
    """From the runs that were validated, each on the scans of its own validation split.

    Where the served model was refitted, on these scans too, there is nothing to tell its embedding by.
    """
    store, rows, said = prepared.store, [], []
    seeds = whole_seeds(prepared, validated)
    for fold, view in prepared.views.items():
        if not (view.splits.validation and seeds):
            return Known(None, None)
        own = [validated[Replicate(seed, fold)] for seed in seeds]
        for part in in_parts(store, store.rows_of(view.splits.validation)):
            rows.append(part.rows)
            said.append(np.mean([one.infer(part.images, store.cells_of(part.rows)).predictions for one in own], axis=0))
    held_out = np.concatenate(rows)
    subjects = [store.subjects[row].subject for row in held_out]
    calibration = Calibration.fit(np.concatenate(said), store.labels[held_out], subjects)
    splits = prepared.first.splits
    training, validation = (_some(store, of) for of in (splits.train, splits.validation))
    first = None if refitted else next(iter(validated.values()))
    features = None if first is None else (_features(first, store, training), _features(first, store, validation))
    return Known(calibration, Detectors.fit(_images(store, training), _images(store, validation), features))


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
