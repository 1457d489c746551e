"""Nested cross-validation: a whole search in each outer fold, one after the other, and what they say together."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from contrasweep.services.data.prepare import Prepared, searches_of, versions_of
from contrasweep.services.data.resumed import check_volumes
from contrasweep.services.records.answers import Counts, OuterFold, Spread, asked_by, fields_of
from contrasweep.services.records.final_report import (
    Evaluation,
    FinalReport,
    PooledReport,
    is_report,
    pooled_baselines,
    read_report,
)
from contrasweep.services.records.folder import FINISHED, STOPPED, OuterFolder, SweepFolder, SweepState
from contrasweep.services.records.logs import part_log
from contrasweep.services.records.trial_record import finite
from contrasweep.services.screen.tables import print_final
from contrasweep.services.screen.words import cut_words
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.sweep.extension import extend
from contrasweep.services.sweep.finalize import choose_winner, draw_evaluation, save_figures
from contrasweep.services.sweep.publish import POOLED, publish_pooled
from contrasweep.services.sweep.search import Session, search
from contrasweep.services.sweep.tracked import Tracked

_FLUSH_S = 10.0


def search_outer_folds(
    session: Session, loaded: LoadedSpec, folder: SweepFolder, state: SweepState, prepared: Mapping[Options, Prepared]
) -> SweepState:
    """Search in each outer fold, or go on with it, and pool; the state, which is returned, says how it ended.

    A search that is done is left as it is; where one stops, the sweep does. The budget is shared out equally.
    """
    parts = searches_of(prepared)
    state.outer, state.folds = len(parts), next(iter(parts[0].values())).folds
    state.volumes = check_volumes(folder.sweep_id, state.volumes, versions_of(prepared))
    total = _Total(folder, state)
    tracked = Tracked(loaded.spec, session.settings, folder, session.console, prepared, session.start)
    with tracked.tracking(state):
        tracked.tracker.flush(_FLUSH_S)  # the runs of the searches are beneath the sweep's, which must be there
        for number, part in enumerate(parts):
            own = OuterFolder(folder, number, total.take)
            session.console.print(f"outer     fold {number} of {len(parts)}: {own.sweep_id}", highlight=False)
            ended = _search_in(session, _of_part(loaded, own, len(parts)), own, state, part)
            tracked.page.write(state)
            if ended.state == STOPPED:
                state.state, state.reason, tracked.ended = STOPPED, ended.reason, "stopped"
                if ended.unfinished:
                    state.reason = cut_words(folder.sweep_id, loaded.spec, state.unfinished, evaluated=False)
                return state
        if state.unfinished:
            state.reason = cut_words(folder.sweep_id, loaded.spec, state.unfinished, evaluated=True)
        _finish(session, loaded, folder, state, tracked)
        state.state, tracked.ended = FINISHED, "complete"
    return state


def pool(reports: Sequence[FinalReport], outer: Sequence[OuterFold], phase: int) -> PooledReport:
    """What the winners of all outer folds say of everyone: each run predicts all scans, of which it saw none.

    Those of a winner that was cut short are fewer, or not refitted. The runs that all have are pooled, or, where there
    is none and of ensembles, the mean predictions: they are then one run's, of weight 1.
    """
    runs = sorted(set.intersection(*({*report.predictions} if not report.weights else set() for report in reports)))
    scans, subjects = ([name for report in reports for name in getattr(report, of)] for of in ("scans", "subjects"))
    y = np.concatenate([report.labels for report in reports])
    said = {run: [value for report in reports for value in report.predictions[run]] for run in runs}
    weights = {} if said else {Replicate(0): 1.0}
    said = said or {Replicate(0): np.concatenate([report.mean_prediction for report in reports]).tolist()}
    baselines = pooled_baselines([report.baselines_said() for report in reports])
    told = Evaluation.of(scans, subjects, y.tolist(), said, baselines, {}, weights)
    return PooledReport(**fields_of(Evaluation, told), outer=tuple(outer), between=_between(outer), phase=phase)


class _Total:
    """What a sweep has come to, added up over its outer folds whenever one of them changes."""

    def __init__(self, folder: SweepFolder, state: SweepState) -> None:
        self._folder, self._state = folder, state
        self._parts = {part.number: part.read_state() for part in folder.searches}

    def take(self, number: int, part: SweepState) -> None:
        """Take on the state of an outer fold, and keep the sweep's."""
        self._parts[number] = part
        parts = list(self._parts.values())
        for name in (*Counts.model_fields, "spent_s", "gpu_hours", "unfinished"):
            if name != "best":
                setattr(self._state, name, sum(getattr(part, name) for part in parts))
        self._state.undelivered = any(part.undelivered for part in parts)
        best = [part.best for part in parts if part.best is not None]
        self._state.best = statistics.fmean(best) if best else None
        self._folder.write_state(self._state)


def _of_part(loaded: LoadedSpec, folder: OuterFolder, parts: int) -> LoadedSpec:
    budget = loaded.spec.budget
    share = budget.model_copy(update={"hours": budget.hours / parts}) if budget.hours else budget
    return replace(loaded, spec=loaded.spec.model_copy(update={"budget": share}), known_as=folder.sweep_id)


def _search_in(
    session: Session, loaded: LoadedSpec, folder: OuterFolder, whole: SweepState, prepared: Mapping[Options, Prepared]
) -> SweepState:
    """The search in one outer fold; one that is done, as far as the spec asks, is not begun again."""
    if folder.has_done(loaded):
        return folder.read_state()
    if not folder.is_known:
        folder.keep(loaded)
    with folder.driving(whole.user, whole.attempt) as state, part_log(folder.log):
        extend(folder, state, loaded, session.storage, _storage(session, folder))
        state.take(asked_by(loaded.spec) | {"outer": 0, "gpus": whole.gpus})
        search(session, loaded, folder, state, prepared)
    return state


def _storage(session: Session, folder: SweepFolder) -> Path:
    return Path(session.settings.storage_path) / folder.sweep_id


def _finish(session: Session, loaded: LoadedSpec, folder: SweepFolder, state: SweepState, tracked: Tracked) -> None:
    """Pool, keep, draw, track and print; the report of an earlier phase is kept beside it."""
    parts = folder.searches
    reports = [FinalReport.read(part.final) for part in parts]
    outer = [_outer_fold(session, loaded, *pair) for pair in zip(parts, reports, strict=True)]
    report = pool(reports, outer, len(state.phases))
    before = read_report(folder.final) if is_report(folder.final) else None
    if before is not None and before.phase != report.phase:
        before.write(folder.final.with_name(f"final-{before.phase}.json"))
    drawn = draw_evaluation(report, loaded.spec.data, f"{len(parts)} outer folds, {report.sample}")
    save_figures({POOLED: drawn}, folder.path / "figures")
    report.write(folder.final)
    state.test_mae = report.metrics["mae"].value
    publish_pooled(report, folder.path, tracked.tracker)
    print_final(session.console, loaded.spec.data.unit_or_label, report.told())
    if state.reason:
        session.console.print(state.reason, soft_wrap=True, markup=False, highlight=False)


def _outer_fold(session: Session, loaded: LoadedSpec, folder: OuterFolder, report: FinalReport) -> OuterFold:
    spec = loaded.spec
    record = choose_winner(spec, spec.plan_over(folder.read_state().folds), _storage(session, folder)).record
    return OuterFold(
        id=folder.sweep_id,
        trial=report.trial,
        method=report.method,
        params=record.parameters,
        objective=finite(record.score),
        metrics={name: interval.value for name, interval in report.metrics.items()},
        external_mae={name: cohort.metrics["mae"].value for name, cohort in report.external.items()},
        sample=report.sample,
        fresh=record.is_fresh,
        looks=report.looks,
    )


def _between(outer: Sequence[OuterFold]) -> dict[str, Spread]:
    """Mean and standard deviation over the outer folds of all that they have."""
    figures = [fold.metrics | {f"external {name}": mae for name, mae in fold.external_mae.items()} for fold in outer]
    return {
        name: Spread(mean=statistics.fmean(values), sd=statistics.stdev(values))
        for name in figures[0]
        for values in [[of[name] for of in figures]]
    }
