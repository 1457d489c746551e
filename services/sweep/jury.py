"""What was locked, and everyone in a fold, as the runs that are served and the baselines predict it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.final_report import BaselineSaid, Evaluation, pooled_baselines
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.sweep.baselines import Baselines
from contrasweep.services.sweep.contenders import Members
from contrasweep.trainers.data.store import Rows, VolumeStore, in_parts
from contrasweep.trainers.inference import Inference, Predictor
from contrasweep.trainers.metrics import shot_mae
from contrasweep.trainers.weighted import weighted_mean


def predictors_of(members: Members, store: VolumeStore, device: torch.device) -> dict[Replicate, Predictor]:
    """The trained models of runs, which read `store`."""
    return {run: Predictor.load(*member, store.image_shape, device) for run, member in members.items()}


@dataclass(frozen=True)
class Jury:
    """Who predicts what was locked: the runs that are served, and the baselines.

    `trained` are the table's labels of the scans that were trained on, whatever `data.train` taught in their place;
    `weights` are the runs' in their mean, empty where all count alike.
    """

    predictors: Mapping[Replicate, Predictor]
    weights: Mapping[Replicate, float]
    baselines: Baselines
    trained: NDArray[np.float64]

    def evaluate(self, store: VolumeStore, parts: Iterable[Rows]) -> tuple[Evaluation, dict[Replicate, Inference]]:
        """The figures of parts of a store, and what each run said."""
        rows, simple, told = [], [], []
        for part in parts:
            rows.append(part.rows)
            simple.append(self.baselines.predict(store, part))
            told.append([one.infer(part.images, store.cells_of(part.rows)) for one in self.predictors.values()])
        inferred = dict(zip(self.predictors, map(_joined, zip(*told, strict=True)), strict=True))
        said = self.baselines.said(simple)
        evaluation = _evaluation(store, np.concatenate(rows), inferred, self.weights, said, self.trained)
        return evaluation, inferred


def out_of_fold(
    prepared: Prepared,
    predictors: Mapping[Replicate, Predictor],
    weights: Mapping[Replicate, float],
    trained: NDArray[np.float64],
) -> Evaluation | None:
    """The figures of everyone in a fold: each seed says one prediction of each, by the run that it was validated in.

    Baselines are fitted for each fold on the scans that its runs are trained on. None where no seed ran on all folds.
    """
    store, seeds = prepared.store, _whole_seeds(prepared, predictors)
    if not seeds:
        return None
    rows, parts, said = [], [], []
    for fold, view in prepared.views.items():
        own = {seed: predictors[seed._replace(fold=fold)] for seed in seeds}
        baselines, simple = Baselines.fit(store, view.splits.train), []
        for part in in_parts(store, store.rows_of(view.splits.validation)):
            rows.append(part.rows)
            parts.append([one.infer(part.images, store.cells_of(part.rows)) for one in own.values()])
            simple.append(baselines.predict(store, part))
        said.append(baselines.said(simple))
    inferred = dict(zip(seeds, map(_joined, zip(*parts, strict=True)), strict=True))
    of_seeds = {
        seed: sum(weights[seed._replace(fold=fold)] for fold in prepared.views) for seed in (seeds if weights else ())
    }
    return _evaluation(store, np.concatenate(rows), inferred, of_seeds, pooled_baselines(said), trained)


def _whole_seeds(prepared: Prepared, predictors: Mapping[Replicate, Predictor]) -> list[Replicate]:
    """The seeds that ran on every fold, without the folds: a winner may have been cut short."""
    seeds = dict.fromkeys(run._replace(fold=None) for run in predictors)
    return [seed for seed in seeds if all(seed._replace(fold=fold) in predictors for fold in prepared.views)]


def _joined(parts: Sequence[Inference]) -> Inference:
    return Inference(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _evaluation(
    store: VolumeStore,
    rows: NDArray[np.int64],
    inferred: Mapping[Replicate, Inference],
    weights: Mapping[Replicate, float],
    baselines: Mapping[str, BaselineSaid],
    trained: NDArray[np.float64],
) -> Evaluation:
    """The figures of the scans in `rows` of a store."""
    scans, y = [store.subjects[row] for row in rows], store.labels[rows]
    predictions = {run: inference.predictions for run, inference in inferred.items()}
    shots = shot_mae(y, weighted_mean(predictions, weights), trained)
    ids, subjects = zip(*((scan.id, scan.subject) for scan in scans), strict=True)
    said = {run: values.tolist() for run, values in predictions.items()}
    return Evaluation.of(ids, subjects, y.tolist(), said, baselines, shots, weights)
