"""Seed runs that a sweep need not train, since another one did."""

from collections.abc import Mapping
from pathlib import Path

import optuna

from services.data.open import Reads
from services.data.prepare import Prepared
from services.records.seed_runs import SeedRuns
from services.records.trial_record import TrialRecord
from services.settings import Settings
from services.spec import methods
from services.spec.spec import Options, SweepSpec
from services.stores.optuna import open_study
from services.sweep.sampling import as_attributes, make_sampler, told
from services.sweep.trial import run_config
from trainers.data.splits import Splits
from trainers.data.store import json_digest
from trainers.history import History


def seed_runs(
    spec: SweepSpec, settings: Settings, prepared: Mapping[Options, Prepared], start: str | None
) -> dict[Reads, SeedRuns]:
    """Those of all sweeps that read the same data, and start from the same weights, of digest `start`."""
    return {
        (options, fold): _runs_of(spec.choosing(dict(options)), settings, one, view.splits, start)
        for options, one in prepared.items()
        for fold, view in one.all_views.items()
    }


def _runs_of(spec: SweepSpec, settings: Settings, prepared: Prepared, splits: Splits, start: str | None) -> SeedRuns:
    reads = [
        prepared.store.manifest.version,
        [splits.train, splits.validation, splits.unlabelled, splits.taught],
        [spec.data.normalize, spec.data.covariates],
        start,
    ]
    return SeedRuns(Path(settings.storage_path), json_digest(reads))


def count_there(
    spec: SweepSpec, folds: int, runs: Mapping[Reads, SeedRuns], label_ranges: Mapping[Options, float]
) -> int:
    """How many of the sweep's seed runs are there, up to the first configuration that lacks one.

    What is drawn after that depends on what it will come to. Where racing stops configurations, more may be there.
    """
    search, found = spec.search, 0
    first = methods.starts(spec, label_ranges)[: search.trials]
    study = open_study("", optuna.storages.InMemoryStorage(), first, search.objective)
    ended: list[TrialRecord] = []
    for number in range(search.trials):
        while ended and ended[0].number <= number - search.parallel:
            record = ended.pop(0)
            outcome = told(record)
            for key, value in as_attributes(outcome.excess).items():
                study._storage.set_trial_system_attr(record.number, key, value)
            study.tell(record.number, outcome.values, state=outcome.state)
        study.sampler = make_sampler(search.sampler, number)
        trial = study.ask()
        configuration = methods.draw(trial, spec, label_ranges)
        read, plan = search.reading(configuration.choices), spec.plan_of(configuration, folds)
        there = [runs[read, one.fold].find(run_config(spec, configuration, one.seed)) for one in plan.replicates]
        histories = [history for folder in there if folder and (history := History.read(folder))]
        found += len(histories)
        if len(histories) < len(there):
            break
        ended.append(TrialRecord(number, configuration, "", dict(zip(plan.replicates, histories, strict=True)), plan))
    return found
