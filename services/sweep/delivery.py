"""MLflow is told of a sweep from what is on disk alone: what it missed, or all of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from contrasweep.services.records.drivers import read_drivers
from contrasweep.services.records.final_report import FinalReport, read_report
from contrasweep.services.records.folder import BROKEN, FINISHED, SweepFolder, SweepState
from contrasweep.services.records.leaderboard import best
from contrasweep.services.records.trial_record import TrialRecord, read_records, trial_folder
from contrasweep.services.screen.tables import leaderboard_text
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate, replicate_named
from contrasweep.services.stores.mlflow import RunState, SweepRuns
from contrasweep.services.stores.telling import Telling
from contrasweep.services.stores.tracker import at_once
from contrasweep.services.sweep.publish import publish, publish_pooled
from contrasweep.services.sweep.tracking_store import opening
from contrasweep.services.sweep_page import write
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import COMPLETE, RUNNING, EpochMetrics, History, of_stage

_ENDS: dict[str, RunState] = {FINISHED: "complete", BROKEN: "failed"}


def deliver(settings: Settings, folder: SweepFolder) -> SweepState:
    """Tell MLflow all of a sweep that does not run, as if it had been there all the time; its state.

    What MLflow has already stays as it is. Raises UserError where the sweep runs, and where MLflow does not take it.
    """
    with folder.held() as state:
        try:
            _deliver(settings, folder, state)
            for part in folder.searches:  # beneath the sweep's own run, which must be there
                with part.held() as of_part:
                    _deliver(settings, part, of_part)
        except UserError:
            raise
        except Exception as error:  # whatever MLflow's client raises
            raise UserError(
                f"MLflow does not take sweep {folder.sweep_id}, which is on disk as before: {one_line(error)}"
            ) from error
    return state


def _deliver(settings: Settings, folder: SweepFolder, state: SweepState) -> None:
    spec = folder.load().spec
    runs = SweepRuns(settings.tracking_uri, None, spec.name, folder.sweep_id, lambda: opening(settings))
    telling = Telling(runs, spec.plan.objective.key, at_once)
    tell(telling, settings, folder, state)
    telling.report(*write(settings, folder, state.model_copy(update={"undelivered": False})))
    telling.close(_ENDS.get(state.state, "stopped"))
    state.undelivered = False


def tell(telling: Telling, settings: Settings, folder: SweepFolder, state: SweepState) -> None:
    """All that a sweep, or the search in an outer fold, has come to; of one that runs what is open stays open."""
    begin(telling, folder, state)
    plan, sweep = folder.load().spec.plan_over(state.folds), Path(settings.storage_path) / folder.sweep_id
    records = read_records(sweep, plan)
    for record in records:
        _tell_trial(telling, sweep, record, state.state == RUNNING)
    if bests := _bests(records):
        telling.best(*bests)
    if records:
        telling.leaderboard(leaderboard_text(records, len(plan.replicates)))
    if folder.final.exists():
        report = read_report(folder.final)
        if isinstance(report, FinalReport):
            publish(report, sweep, folder.path, telling)
        else:
            publish_pooled(report, folder.path, telling)


def begin(telling: Telling, folder: SweepFolder, state: SweepState) -> None:
    """The sweep's own run: spec, parameters, and the digests of its last driver."""
    spec, drivers = folder.load().spec, read_drivers(folder)
    params, digests = {"objective": ", ".join(spec.search.objective)}, {}
    if drivers:
        params["contrasweep"], digests = drivers[0].versions["contrasweep"], dict(drivers[-1].digests)
        params |= {"init_from": drivers[-1].start} if drivers[-1].start else {}
    telling.start(spec.to_yaml(), params, digests, state.user, state.state == RUNNING)


def end_trial(telling: Telling, record: TrialRecord) -> None:
    """A configuration's end, and that of its runs; one that is not over was stopped."""
    state: RunState = "stopped" if record.state == RUNNING else record.state
    reason = record.infeasible if state == COMPLETE else record.reason
    for run, history in record.histories.items():
        whole = len(history.epochs) == record.plan.judged_epochs
        telling.run_ended(record.number, run, "complete" if whole else state, "" if whole else reason)
    telling.trial_ended(record.number, state, reason, *_judged(record))


def _tell_trial(telling: Telling, sweep: Path, record: TrialRecord, sweep_runs: bool) -> None:
    number, configuration, goes_on = record.number, record.configuration, sweep_runs and record.state == RUNNING
    telling.trial_started(number, configuration.method, configuration.values, goes_on)
    for stage in _earlier(record):
        for run, history in stage.histories.items():
            telling.history(number, run, history.epochs)
        telling.trial_judged(number, stage.state == COMPLETE, *_judged(stage))
    for run, rows in _rows(sweep, record):
        telling.history(number, run, rows)
    if not goes_on:
        end_trial(telling, record)


def _judged(record: TrialRecord) -> tuple[float | None, dict[Replicate, float], int]:
    return record.score if record.values else None, record.scores, len(record.ended)


def _earlier(record: TrialRecord) -> list[TrialRecord]:
    """The record as it was each time that its configuration had ended before it went on as a finalist."""
    return [record.as_raced(), *([_as_finalist(record)] if record.is_reported else [])] if record.raced else []


def _as_finalist(record: TrialRecord) -> TrialRecord:
    """The winner's record by the seeds that chose it, before it ran those that are reported."""
    own = {run: history for run, history in record.histories.items() if run.seed not in record.plan.reported}
    return replace(record, plan=record.plan.finals, histories=own)


def _rows(sweep: Path, record: TrialRecord) -> Iterator[tuple[Replicate, list[EpochMetrics]]]:
    """What was measured in each of a configuration's runs, those on all but the test split, too, in all stages."""
    for folder in sorted(trial_folder(sweep, record.number).glob("*seed-*")):
        judged = History.read(folder)
        stages = {path.parent.name: History.read(path.parent) for path in sorted(folder.glob("*/history.json"))}
        rows = [of_stage(name, row) for name, stage in stages.items() if stage for row in stage.epochs]
        yield replicate_named(folder.name), rows + (judged.epochs if judged else [])


def _bests(records: Sequence[TrialRecord]) -> list[tuple[int, float]]:
    """Configurations that were the best, as their races ended, and the best one now, each with its objective."""
    found: list[TrialRecord] = []
    for record in records:
        first = best([*found[-1:], record.as_raced()])
        found += [first] if first and first not in found[-1:] else []
    found += [first for first in [best(records)] if first]
    pairs = [(record.number, record.score) for record in found]
    return [pair for place, pair in enumerate(pairs) if pair not in pairs[:place][-1:]]
