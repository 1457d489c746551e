"""A study's finished sweep, with its analyses made; and any analysis of any sweep."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.records.answers import ACTIVE
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.records.trial_record import TrialRecord, read_records
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.studies.compile import QUICK, read_in, repeated
from contrasweep.services.studies.evidence import Lazily, final_of, judged, point_name, read_evidence
from contrasweep.services.studies.outcome import Seen, counted
from contrasweep.services.studies.study import StudyConfig, load_study, study_at
from contrasweep.services.studies.tuned import rows_of, under
from contrasweep.trainers import analyses
from contrasweep.trainers.analyses import Evidence, Findings, Reading
from contrasweep.trainers.config import words_of
from contrasweep.trainers.errors import UserError

Wanted = tuple[int, str, str]
"""Epoch, features and probe of the reading that a row is."""


def examine(study: StudyConfig, folder: SweepFolder, settings: Settings) -> Seen:
    """What a study's sweep came to. Raises UserError where it is not finished.

    An analysis that lacks what it needs is left out, and its reason kept.
    """
    points = read_evidence(settings, folder)
    rows = _records_of(study, folder, settings)
    evidence = _told_by_rows(study, folder.load().spec, points, rows)
    complete = Counter(points.points.values())
    findings, lacking = {}, []
    for one in study.analyses:
        ((name, params),) = one.items()
        try:
            findings[words_of(one) if name in findings else name] = analyse(evidence, name, params)
        except UserError as error:
            lacking.append(f"{name}: {error}")
    return Seen(study, folder, rows, final_of(folder), evidence, findings, tuple(lacking), complete)


def evidence_of(folder: SweepFolder, settings: Settings) -> Evidence:
    """What analyses are given of a sweep: of a study's its rows, of any other its configurations.

    Raises UserError where it is not finished.
    """
    points, study = read_evidence(settings, folder), study_at(folder.load().path)
    if study is None:
        return points
    return _told_by_rows(study, folder.load().spec, points, _records_of(study, folder, settings))


def _records_of(study: StudyConfig, folder: SweepFolder, settings: Settings) -> dict[str, TrialRecord]:
    spec, storage = folder.load().spec, Path(settings.storage_path)
    return rows_of(study, spec, read_records(storage / folder.sweep_id, spec.plan_over(folder.read_state().folds)))


def _told_by_rows(study: StudyConfig, spec: SweepSpec, points: Evidence, rows: Mapping[str, TrialRecord]) -> Evidence:
    """The evidence of rows in place of configurations, and of the scans alone that count."""
    evidence = under({point_name(spec, record): row for row, record in rows.items()}, points)
    evidence = of_rows(study, evidence, _wanted(study, spec, rows))
    return of_scans(evidence, counted(study, evidence))


def analyse(evidence: Evidence, name: str, params: Mapping[str, Any]) -> Findings:
    """What an analysis finds. Raises UserError on an unknown one or a wrong parameter, and where something lacks."""
    return analyses.build(name, **params).run(evidence)


def _wanted(study: StudyConfig, spec: SweepSpec, records: Mapping[str, TrialRecord]) -> dict[str, Wanted]:
    """Epoch, features and probe of each row whose point has a record and that is not an earlier row's reading."""
    found, same = {}, repeated(study, spec)
    for name, read in read_in(study, spec).items():
        record = records.get(study.point_of(study.row(name)))
        if record and name not in same:
            features, probe = judged(spec, record.configuration)
            found[name] = (read.epoch or 0, read.features or features, words_of(read.probe) if read.probe else probe)
    return found


def of_rows(study: StudyConfig, evidence: Evidence, wanted: Mapping[str, Wanted]) -> Evidence:
    """The evidence of a study's rows in place of its points: of each the reading that is `wanted` first, as epoch 0.

    A row has other readings of its point, too, and where it trains nothing the reading is part of its method's name.
    Rows that were not read so, or not trained, are left out.
    """
    predictions: dict[Reading, Reading] = {}
    embeddings: dict[Reading, Reading] = {}
    points: dict[str, str] = {}
    for name, (epoch, features, probe) in wanted.items():
        row = study.row(name)
        point = study.point_of(row)
        said = _renamed(evidence.predictions, point, name, epoch, features, probe)
        if (epoch, features, probe) not in {one[3:] for one in said.values()}:
            continue
        points[name] = evidence.points[point] + f", {features} {probe}" * bool(row.of)
        predictions |= said
        embeddings |= _renamed(evidence.embeddings, point, name, epoch, features, "")
    return replace(
        evidence,
        points=points,
        values={name: evidence.values[study.point_of(study.row(name))] for name in points},
        predictions={reading: evidence.predictions[own] for reading, own in predictions.items()},
        embeddings=Lazily({one: partial(evidence.embeddings.__getitem__, own) for one, own in embeddings.items()}),
    )


def _renamed(
    readings: Iterable[Reading], point: str, name: str, epoch: int, features: str, probe: str
) -> dict[Reading, Reading]:
    """Readings of a point as those of a row, by which it is: those of its epoch as epoch 0, the wanted one first."""
    own = [reading for reading in readings if reading.point == point]
    wanted_first = sorted(own, key=lambda one: (one.features != features, one.probe != probe))
    counts = {one._replace(point=name, epoch=0): one for one in wanted_first if one.epoch == epoch}
    return counts | {one._replace(point=name): one for one in own if one.epoch > 0}


def of_scans(evidence: Evidence, counts: NDArray[np.bool_]) -> Evidence:
    """The evidence of those test scans alone that count [n]."""
    if counts.all():
        return evidence
    rows = np.flatnonzero(counts).tolist()
    return replace(
        evidence,
        scans=tuple(evidence.scans[row] for row in rows),
        subjects=tuple(evidence.subjects[row] for row in rows),
        labels=evidence.labels[rows],
        columns={column: [cells[row] for row in rows] for column, cells in evidence.columns.items()},
        predictions={reading: said[rows] for reading, said in evidence.predictions.items()},
        embeddings=Lazily({reading: partial(_rows, evidence, reading, rows) for reading in evidence.embeddings}),
        baselines={title: said[rows] for title, said in evidence.baselines.items()},
    )


def _rows(evidence: Evidence, reading: Reading, rows: Sequence[int]) -> NDArray[np.float32]:
    features: NDArray[np.float32] = evidence.embeddings[reading][list(rows)]
    return features


def sweeps_of(settings: Settings, named: Sequence[str]) -> list[tuple[StudyConfig, SweepFolder]]:
    """Of several, as `sweep_of`. Raises UserError that names all that are none."""
    found, lacking = [], []
    for one in named:
        try:
            found.append(sweep_of(settings, one))
        except UserError as error:
            lacking.append(str(error))
    if lacking:
        raise UserError("; ".join(lacking))
    return found


def sweep_of(settings: Settings, named: str) -> tuple[StudyConfig, SweepFolder]:
    """The study and sweep that a study's name, its `NAME-quick` or a sweep's id or its beginning mean: the last
    finished one of several.

    Raises UserError where there is none.
    """
    folders = [folder for folder in SweepFolder.every(settings) if _is_meant(folder, named)]
    study = load_study(_name_of(folders[0]).removesuffix(QUICK) if folders else named.removesuffix(QUICK))
    finished = [folder for folder in folders if folder.read_state().state == FINISHED]
    if not finished:
        raise UserError(f"study {named}: {_unfinished(study, folders, named)}")
    return study, max(finished, key=lambda folder: folder.read_state().started)


def _is_meant(folder: SweepFolder, named: str) -> bool:
    name = _name_of(folder)
    return named == name or (named.startswith(f"{name}-") and folder.sweep_id.startswith(named))


def _unfinished(study: StudyConfig, folders: Sequence[SweepFolder], named: str) -> str:
    """What has become of it, and what to do."""
    run = f"`contrasweep study run {study.name}{' --quick' * named.endswith(QUICK)}`"
    if not folders:
        return f"it has not run here; {run} runs it"
    last, state = folders[-1].sweep_id, folders[-1].read_state().state
    return f"{last} is {state}; " + (
        f"`contrasweep status {last} --watch` follows it" if state in ACTIVE else f"{run} goes on"
    )


def _name_of(folder: SweepFolder) -> str:
    return folder.sweep_id.rpartition("-")[0]
