"""Seed runs that a sweep need not train, since another one did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import optuna

from contrasweep.search_spaces import Configuration
from contrasweep.services.data.open import Reads
from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.seed_runs import SeedRuns
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.settings import Settings
from contrasweep.services.spec import methods
from contrasweep.services.spec.spec import Options, SweepSpec
from contrasweep.services.stores.optuna import open_study
from contrasweep.services.sweep.drawing import Drawing
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import json_digest
from contrasweep.trainers.history import History


def seed_runs(
    spec: SweepSpec, settings: Settings, prepared: Mapping[Options, Prepared], start: str | None, own: str = ""
) -> dict[Reads, SeedRuns]:
    """Those of all sweeps that read the same data, and start from the same weights, of digest `start`.

    Or of one alone, whose id is `own`.
    """
    return {
        (options, fold): replace(_runs_of(spec.choosing(dict(options)), settings, one, view.splits, start), own=own)
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
    spec: SweepSpec,
    folds: int,
    runs: Mapping[Reads, SeedRuns],
    label_ranges: Mapping[Options, float],
    learned: Sequence[Learned] = (),
) -> int:
    """How many of the sweep's seed runs are there, up to the first configuration that lacks one.

    What is drawn after that depends on what it will come to. Where racing stops configurations, more may be there.
    """
    search, found = spec.search, 0
    first = methods.starts(spec, label_ranges)[: search.trials]
    study = open_study("", optuna.storages.InMemoryStorage(), first, search.objective)
    drawing = Drawing(
        study, lambda trial, spaces: methods.draw(trial, spec.searching(spaces=spaces), label_ranges), search, learned
    )
    drawn: dict[int, Configuration] = {}
    ended: dict[int, TrialRecord | None] = {}
    for number in range(search.trials):
        known = {n: record for n, record in ended.items() if n <= number - search.parallel}
        scratch, configuration = drawing.next(number, drawn, known)
        if configuration in drawn.values():
            break
        study.ask()
        scratch.keep(configuration.method)
        drawn[number] = configuration
        reads = [search.reading(one.choices) for one in methods.lineage(configuration, spec)]
        plan = spec.plan_of(configuration, folds)
        left = {one: SeedRuns.chained([runs[read, one.fold] for read in reads]) for one in plan.replicates}
        there = [of.find(run_config(spec, configuration, one.seed)) for one, of in left.items()]
        histories = [history for folder in there if folder and (history := History.read(folder))]
        found += len(histories)
        if len(histories) < len(there):
            break
        whole = dict(zip(plan.replicates, histories, strict=True))
        ended[number] = TrialRecord(number, configuration, "", whole, plan)
    return found
