"""All that a sweep has found out so far, as tables for data frames: full precision, and nothing where nothing is known.

    trials        rank, trial, method, state, reason, each objective, sd, runs, params_*, training_*, choices_*, start
    seed_runs     trial, run, seed, fold, state, reason, epochs, best_epoch, objective, seconds, taken
    epochs        trial, run, seed, fold, stage, epoch and every metric
    predictions   trial, split, scan, subject, label, run, prediction
    readings      trial, run, epoch, features, probe, split, scan, label, prediction: see `records.readings`

`run` is a seed, or such as `fold 0 seed 2`, `refit seed 2`, which has no `fold`, or a baseline, which has no `trial`;
`stage` is `pretraining` where another came after it, `start` of another run that was trained there to start from it,
otherwise `judged`; `split` is test, out_of_fold or an external cohort's name. The tables of a sweep with outer folds
begin with a column `outer`.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasweep.services.records.answers import Trial
from contrasweep.services.records.files import write_asked
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.leaderboard import told
from contrasweep.services.records.parquet import read_parquet
from contrasweep.services.records.readings import read_readings
from contrasweep.services.records.tested import TESTED
from contrasweep.services.records.trial_record import TrialRecord, finite, read_records, trial_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate, replicate_named
from contrasweep.trainers.history import History

if TYPE_CHECKING:
    import pyarrow as pa

JUDGED = "judged"
_FIRST = {
    "trials": ("rank", "trial", "method", "state", "reason"),
    "seed_runs": (
        "trial",
        "run",
        "seed",
        "fold",
        "state",
        "reason",
        "epochs",
        "best_epoch",
        "objective",
        "seconds",
        "taken",
    ),
    "epochs": ("trial", "run", "seed", "fold", "stage", "epoch"),
    "predictions": ("trial", "split", "scan", "subject", "label", "run", "prediction"),
}
"""The columns that each table has, whatever there is yet."""

Row = dict[str, Any]


def write_results(settings: Settings, folder: SweepFolder, csv: Path | None, parquet: Path | None) -> dict[Path, int]:
    """Write a file of each table into these folders, each whole or not at all; how many rows each file has."""
    rows = {}
    for name, table in read_results(settings, folder).items():
        for into, ending, written in ((csv, "csv", _to_csv), (parquet, "parquet", _to_parquet)):
            if into is not None:
                path = into / f"{name}.{ending}"
                write_asked(path, written(table))
                rows[path] = table.num_rows
    return rows


def read_results(settings: Settings, folder: SweepFolder) -> "dict[str, pa.Table]":
    """The tables by name; with outer folds of all searches that have begun, together."""
    rows: dict[str, list[Row]] = {name: [] for name in _FIRST}
    for search in folder.searches:
        for name, own in _rows(settings, search).items():
            rows[name] += [{"outer": search.number, **row} for row in own]
    if not folder.searches:
        rows = {name: list(own) for name, own in _rows(settings, folder).items()}
    outer = ("outer",) if folder.searches else ()
    tables = {name: _table(own, (*outer, *_FIRST[name])) for name, own in rows.items()}
    return tables | {"readings": _readings(folder)}


def _rows(settings: Settings, folder: SweepFolder) -> dict[str, Iterator[Row]]:
    sweep, plan = Path(settings.storage_path) / folder.sweep_id, folder.load().spec.plan_over(folder.read_state().folds)
    records = read_records(sweep, plan)
    return {
        "trials": _trials(records),
        "seed_runs": (row for record in records for row in _seed_runs(sweep, record)),
        "epochs": (row for record in records for row in _epochs(sweep, record)),
        "predictions": _predictions(folder.final),
    }


def _trials(records: Sequence[TrialRecord]) -> Iterator[Row]:
    """Of each configuration what the leaderboard tells, the best first."""
    by_number = {record.number: record.configuration for record in records}
    for rank, trial in enumerate(told(records), start=1):
        made = by_number[trial.number]
        yield {
            "rank": rank,
            "trial": trial.number,
            **_standing(trial),
            **{f"costs_{name}": value for name, value in trial.costs.items()},
            **{f"params_{name}": value for name, value in made.params.items()},
            **{f"training_{name}": value for name, value in made.training.items()},
            **{f"choices_{name}": value for name, value in made.choices.items()},
            **({"start": made.start} if made.start else {}),
        }


def _standing(trial: Trial) -> Row:
    return {
        "method": trial.method,
        "state": trial.state,
        "reason": trial.reason or None,
        **trial.objectives,
        "sd": trial.sd if len(trial.seeds) > 1 else None,
        "runs": len(trial.seeds),
        "epochs": sum(trial.epochs.values()),
        "fresh": trial.fresh,
        "reported": trial.reported,
        "tied": trial.tied,
        "front": trial.front,
        "infeasible": trial.infeasible or None,
    }


def _seed_runs(sweep: Path, record: TrialRecord) -> Iterator[Row]:
    for run, stages in _stages(sweep, record).items():
        judged, rows = stages[JUDGED], [row for history in stages.values() for row in history.epochs]
        seconds = [row["epoch_s"] for row in rows if "epoch_s" in row]
        yield {
            **_named(record.number, run),
            "state": judged.state,
            "reason": judged.reason or None,
            "epochs": len(rows),
            "best_epoch": int(judged.best_row["epoch"]) if judged.best_row else None,
            "objective": finite(judged.score),
            "seconds": math.fsum(seconds) if seconds else None,
            "taken": judged.taken or None,
        }


def _epochs(sweep: Path, record: TrialRecord) -> Iterator[Row]:
    for run, stages in _stages(sweep, record).items():
        for stage, history in stages.items():
            for row in history.epochs:
                yield {**_named(record.number, run), "stage": stage, **row, "epoch": int(row["epoch"])}


def _stages(sweep: Path, record: TrialRecord) -> dict[Replicate, dict[str, History]]:
    """What each run left of each of its stages, the judged one last; those on all but the test split, too."""
    found = {}
    folders = {replicate_named(folder.name): folder for folder in trial_folder(sweep, record.number).glob("*seed-*")}
    for run, folder in sorted(folders.items(), key=lambda one: (one[0].seed, str(one[0].fold))):
        judged = History.read(folder)
        earlier = _earlier(folder)
        if earlier or judged:
            found[run] = earlier | {JUDGED: judged or History(run.seed)}
    return found


def _earlier(run: Path) -> dict[str, History]:
    """The stages before the judged one that were trained there, in their order, which is that of their depth."""
    folders = {path.parent.relative_to(run): path.parent for path in run.glob("**/history.json") if path.parent != run}
    ordered = sorted(folders, key=lambda stage: (len(stage.parts), stage), reverse=True)
    histories = {stage.as_posix(): History.read(folders[stage]) for stage in ordered}
    return {stage: history for stage, history in histories.items() if history and not history.taken}


def _named(trial: int, run: Replicate) -> Row:
    return {
        "trial": trial,
        "run": str(run),
        "seed": run.seed,
        "fold": run.fold if isinstance(run.fold, int) else None,
    }


def _predictions(final: Path) -> Iterator[Row]:
    """Those of the final figure's runs and of baselines, then those of all others for the test split."""
    if not final.exists():
        return
    report = FinalReport.read(final)
    parts = {"test": report, **({"out_of_fold": report.out_of_fold} if report.out_of_fold else {}), **report.external}
    for split, part in parts.items():
        own = [(report.trial_of(run), str(run.own), said) for run, said in part.predictions.items()]
        baselines = [(None, name, said) for name, said in part.baseline_predictions.items()]
        for trial, run, said in (*own, *baselines):
            for scan, subject, label, value in zip(part.scans, part.subjects, part.labels, said, strict=True):
                yield _predicted(trial, split, scan, subject, label, run, value)
    told = {(report.trial_of(run), str(run.own)) for run in report.predictions}
    subject_of = dict(zip(report.scans, report.subjects, strict=True))
    for row in _tested(final.with_name(TESTED)):
        if (row["trial"], row["run"]) not in told:
            values = (row["label"], row["run"], row["prediction"])
            yield _predicted(row["trial"], "test", row["scan"], subject_of.get(row["scan"]), *values)


def _predicted(
    trial: int | None, split: str, scan: str, subject: str | None, label: float, run: str, prediction: float
) -> Row:
    values = (trial, split, scan, subject, label, run, prediction)
    return dict(zip(_FIRST["predictions"], values, strict=True))


def _readings(folder: SweepFolder) -> "pa.Table":
    """As they are on disk, where there are more than fit into memory row by row."""
    import pyarrow as pa

    parts = []
    for search in folder.searches:
        table = read_readings(search.final)
        parts.append(table.add_column(0, "outer", pa.array([search.number] * table.num_rows, pa.int64())))
    return pa.concat_tables(parts) if parts else read_readings(folder.final)


def _tested(path: Path) -> list[Row]:
    rows: list[Row] = read_parquet(path).to_pylist() if path.exists() else []
    return rows


def _table(rows: Sequence[Row], first: Sequence[str]) -> "pa.Table":
    """The rows as a table with the columns `first` and all others; a column of numbers and text is text."""
    import pyarrow as pa

    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return pa.table({name: _column([_known(row.get(name)) for row in rows]) for name in names})


def _column(values: list[Any]) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values)
    except pa.ArrowException:
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _known(value: Any) -> Any:
    """The value, None for what is no number."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _to_csv(table: "pa.Table") -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _to_parquet(table: "pa.Table") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())
