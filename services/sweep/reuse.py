"""Seed runs that a sweep need not train, since another one did."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import optuna

from services.data.prepare import Prepared
from services.records.seed_runs import SeedRuns
from services.settings import Settings
from services.spec import methods
from services.spec.replicate import Fold
from services.spec.spec import SeedPlan, SweepSpec
from services.stores.optuna import open_study
from services.sweep.sampling import make_sampler
from services.sweep.trial import run_config
from trainers.data.splits import Splits
from trainers.data.store import json_digest
from trainers.history import History


def seed_runs(spec: SweepSpec, settings: Settings, prepared: Prepared, start: str | None) -> dict[Fold, SeedRuns]:
    """Those of all sweeps that read the same data, by fold, and start from the same weights, of digest `start`."""
    version = prepared.store.manifest.version
    return {fold: _runs_of(spec, settings, version, view.splits, start) for fold, view in prepared.all_views.items()}


def _runs_of(spec: SweepSpec, settings: Settings, version: str, splits: Splits, start: str | None) -> SeedRuns:
    reads = [
        version,
        [splits.train, splits.validation, splits.unlabelled, splits.taught],
        [spec.data.normalize, spec.data.covariates],
        start,
    ]
    return SeedRuns(Path(settings.storage_path), json_digest(reads))


def count_there(spec: SweepSpec, plan: SeedPlan, runs: Mapping[Fold, SeedRuns], label_range: float) -> int:
    """How many of the sweep's seed runs are there, up to the first configuration that lacks one.

    What is drawn after that depends on what it will come to. Where racing stops configurations, more may be there.
    """
    search, found = spec.search, 0
    study = open_study("", optuna.storages.InMemoryStorage(), methods.starts(spec, label_range)[: search.trials])
    ended: list[tuple[optuna.Trial, float]] = []
    for number in range(search.trials):
        while ended and ended[0][0].number <= number - search.parallel:
            study.tell(*ended.pop(0))
        study.sampler = make_sampler(search.sampler, number)
        trial = study.ask()
        configuration = methods.draw(trial, spec, label_range)
        there = [runs[one.fold].find(run_config(spec, configuration, one.seed)) for one in plan.replicates]
        histories = [history for folder in there if folder and (history := History.read(folder))]
        found += len(histories)
        if len(histories) < len(there):
            break
        ended.append((trial, fmean(history.best for history in histories)))
    return found
