"""What was locked, and everyone in a fold, as the winner's runs and the baselines predict it."""

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


def predictors_of(members: Members, store: VolumeStore, device: torch.device) -> dict[Replicate, Predictor]:
    """The trained models of runs, which read `store`."""
    return {run: Predictor.load(*member, store.image_shape, device) for run, member in members.items()}


@dataclass(frozen=True)
class Jury:
    """Who predicts what was locked: the winner's runs, and the baselines.

    `trained` are the table's labels of the scans that were trained on, whatever `data.train` taught in their place.
    """

    predictors: Mapping[Replicate, Predictor]
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
        evaluation = _evaluation(store, np.concatenate(rows), inferred, self.baselines.said(simple), self.trained)
        return evaluation, inferred


def out_of_fold(
    prepared: Prepared, predictors: Mapping[Replicate, Predictor], trained: NDArray[np.float64]
) -> Evaluation | None:
    """The figures of everyone in a fold: each seed says one prediction of each, by the run that it was validated in.

    Baselines are fitted for each fold on the scans that its runs are trained on. None where no seed ran on all folds.
    """
    store, seeds = prepared.store, _whole_seeds(prepared, predictors)
    if not seeds:
        return None
    rows, parts, said = [], [], []
    for fold, view in prepared.views.items():
        own = {seed: predictors[Replicate(seed, fold)] for seed in seeds}
        baselines, simple = Baselines.fit(store, view.splits.train), []
        for part in in_parts(store, store.rows_of(view.splits.validation)):
            rows.append(part.rows)
            parts.append([one.infer(part.images, store.cells_of(part.rows)) for one in own.values()])
            simple.append(baselines.predict(store, part))
        said.append(baselines.said(simple))
    inferred = dict(zip(map(Replicate, seeds), map(_joined, zip(*parts, strict=True)), strict=True))
    return _evaluation(store, np.concatenate(rows), inferred, pooled_baselines(said), trained)


def _whole_seeds(prepared: Prepared, predictors: Mapping[Replicate, Predictor]) -> list[int]:
    """The seeds that ran on every fold: a winner may have been cut short."""
    seeds = sorted({run.seed for run in predictors})
    return [seed for seed in seeds if all(Replicate(seed, fold) in predictors for fold in prepared.views)]


def _joined(parts: Sequence[Inference]) -> Inference:
    return Inference(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _evaluation(
    store: VolumeStore,
    rows: NDArray[np.int64],
    inferred: Mapping[Replicate, Inference],
    baselines: Mapping[str, BaselineSaid],
    trained: NDArray[np.float64],
) -> Evaluation:
    """The figures of the scans in `rows` of a store."""
    scans, y = [store.subjects[row] for row in rows], store.labels[rows]
    said = {run: inference.predictions.tolist() for run, inference in inferred.items()}
    shots = shot_mae(y, np.mean(list(said.values()), axis=0), trained)
    subjects = [scan.subject for scan in scans]
    return Evaluation.of([scan.id for scan in scans], subjects, y.tolist(), said, baselines, shots)
