"""The ensemble of a sweep: seeds of any configurations, chosen by what they say of people that they did not train on.

Candidates read what the best configuration does: one model could not take the images of several preparations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.answers import Beside, Ensembled
from contrasweep.services.records.final_report import beside
from contrasweep.services.records.trial_record import TrialRecord, read_records
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.sweep.contenders import Listener, Members, members_of
from contrasweep.trainers.data.store import in_parts
from contrasweep.trainers.greedy import Error, greedy_weights
from contrasweep.trainers.metrics import METRICS
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES

Candidates = Mapping[Replicate, Members]
"""Seeds, and of each its run, or with folds its run on each of them, in their order."""


@dataclass(frozen=True)
class Ensemble:
    """Seeds whose weighted mean is served, the heaviest first.

    Attributes:
        weights: of the seeds, 1 in sum.
        candidates: how many there were to choose from, `by` which objective.
        validation: the ensemble on the people that it was chosen by, beside the best configuration.
    """

    seeds: Candidates
    weights: Mapping[Replicate, float]
    candidates: int
    by: str
    validation: Beside

    @property
    def members(self) -> Members:
        """Its runs, each with its configuration's number."""
        return {run: member for runs in self.seeds.values() for run, member in runs.items()}

    @property
    def of_runs(self) -> dict[Replicate, float]:
        """The weight of each run: a seed's is shared by its folds."""
        return {run: self.weights[seed] / len(runs) for seed, runs in self.seeds.items() for run in runs}

    @property
    def methods(self) -> dict[int, str]:
        """Of its configurations, by number."""
        found = {run.trial: config.method.name for run, (config, _) in self.members.items() if run.trial is not None}
        return dict(sorted(found.items()))

    def told(self, test: Beside) -> Ensembled:
        """What the final report says of it, once it was on the test split."""
        return Ensembled(
            weights=dict(self.weights),
            methods=self.methods,
            candidates=self.candidates,
            by=self.by,
            validation=self.validation,
            test=test,
        )


def choose_ensemble(
    spec: SweepSpec, best: TrialRecord, storage: Path, prepared: Prepared, device: torch.device
) -> Ensemble | None:
    """The ensemble of at most `final.ensemble` seeds that errs least on validation, or out of fold, by the first
    objective, or by MAE where that is no figure of predictions alone: see `greedy_weights`.

    Where the seeds of the `best` configuration, all alike, err less, it is these, however many. None where the spec
    asks for none, and where no seed of that configuration ran on every fold.
    """
    candidates = _candidates(spec, best, storage, prepared) if spec.final.ensemble else {}
    alone = np.array([float(seed.trial == best.number) for seed in candidates])
    if not spec.final.ensemble or not alone.any():
        return None
    alone /= alone.sum()
    store, said = prepared.store, _said(candidates, prepared, device)
    rows = np.concatenate([store.rows_of(view.splits.validation) for view in prepared.views.values()])
    by = spec.plan.objective.name if spec.plan.objective.name in METRICS else DEFAULT
    weights = greedy_weights(said, store.labels[rows], spec.final.ensemble, _error(by), rival=alone)
    ranked = sorted(zip(candidates, weights.tolist(), strict=True), key=lambda one: -one[1])
    chosen = {seed: weight for seed, weight in ranked if weight > 0}
    subjects = [store.subjects[row].subject for row in rows]
    return Ensemble(
        seeds={seed: candidates[seed] for seed in chosen},
        weights=chosen,
        candidates=len(candidates),
        by=by,
        validation=beside(store.labels[rows].tolist(), weights @ said, alone @ said, subjects),
    )


def _candidates(spec: SweepSpec, best: TrialRecord, storage: Path, prepared: Prepared) -> Candidates:
    """The seeds that ran on every fold, of all configurations that read what `best` does, did not fail and break no
    bound; without those whose checkpoints are gone.
    """
    found: dict[Replicate, Members] = {}
    for record in (record.as_reported() for record in read_records(storage, spec.plan_over(prepared.folds))):
        if not (record.failure or record.infeasible) and _reading(spec, record) == _reading(spec, best):
            left = {run: member for run, member in members_of(spec, record, storage).items() if member[1].exists()}
            for seed in dict.fromkeys(run._replace(fold=None) for run in left):
                runs = [seed._replace(fold=fold) for fold in prepared.views]
                if all(run in left for run in runs):
                    found[seed] = {run: left[run] for run in runs}
    return found


def _reading(spec: SweepSpec, record: TrialRecord) -> object:
    return spec.search.reading(record.configuration.choices)


def _said(candidates: Candidates, prepared: Prepared, device: torch.device) -> NDArray[np.float64]:
    """What each candidate says [R, N] of the validation split, or of the folds one after the other."""
    listener, store = Listener(device), prepared.store
    for fold, view in prepared.views.items():
        own = {run: member for runs in candidates.values() for run, member in runs.items() if run.fold == fold}
        for _ in listener.heard(store, in_parts(store, store.rows_of(view.splits.validation)), own):
            pass
    return np.stack([np.concatenate([*map(listener.predictions, runs)]) for runs in candidates.values()])


def _error(by: str) -> Error:
    """An objective as an error, infinite where it is undefined."""
    sign = -1.0 if OBJECTIVES[by].higher else 1.0

    def error(y: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
        values = sign * METRICS[by](y, said)
        return np.where(np.isnan(values), np.inf, values)

    return error
