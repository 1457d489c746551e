"""A study's finished sweep, with its analyses made; and any analysis of any sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.settings import Settings
from contrasweep.services.studies.compile import QUICK
from contrasweep.services.studies.evidence import Lazily, final_of, point_name, read_evidence
from contrasweep.services.studies.outcome import Seen, counted
from contrasweep.services.studies.study import StudyConfig, load_study
from contrasweep.trainers import analyses
from contrasweep.trainers.analyses import Evidence, Findings, Reading
from contrasweep.trainers.config import words_of
from contrasweep.trainers.errors import UserError


def examine(study: StudyConfig, folder: SweepFolder, settings: Settings) -> Seen:
    """What a study's sweep came to. Raises UserError where it is not finished.

    An analysis that lacks what it needs is left out, and its reason kept.
    """
    final, evidence, spec = final_of(folder), read_evidence(settings, folder), folder.load().spec
    evidence = of_scans(evidence, counted(study, evidence))
    records = read_records(Path(settings.storage_path) / folder.sweep_id, spec.plan_over(folder.read_state().folds))
    findings, lacking = {}, []
    for one in study.analyses:
        ((name, params),) = one.items()
        try:
            findings[words_of(one) if name in findings else name] = analyse(evidence, name, params)
        except UserError as error:
            lacking.append(f"{name}: {error}")
    named = {point_name(spec, record): record for record in records}
    return Seen(study, folder, named, final, evidence, findings, tuple(lacking))


def analyse(evidence: Evidence, name: str, params: Mapping[str, Any]) -> Findings:
    """What an analysis finds. Raises UserError on an unknown one or a wrong parameter, and where something lacks."""
    return analyses.build(name, **params).run(evidence)


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
    )


def _rows(evidence: Evidence, reading: Reading, rows: Sequence[int]) -> NDArray[np.float32]:
    features: NDArray[np.float32] = evidence.embeddings[reading][list(rows)]
    return features


def sweep_of(settings: Settings, named: str) -> tuple[StudyConfig, SweepFolder]:
    """The study and sweep that a study's name, its `NAME-quick` or a sweep's id mean: the last finished one of several.

    Raises UserError where there is none.
    """
    folders = [folder for folder in SweepFolder.every(settings) if named in (_name_of(folder), folder.sweep_id)]
    study = load_study(_name_of(folders[0]).removesuffix(QUICK) if folders else named.removesuffix(QUICK))
    finished = [folder for folder in folders if folder.read_state().state == FINISHED]
    if not finished:
        quick = " --quick" * named.endswith(QUICK)
        begun = f"{folders[-1].sweep_id} is {folders[-1].read_state().state}" if folders else "it has not run here"
        raise UserError(f"study {named}: {begun}; `contrasweep study run {study.name}{quick}` runs it, or goes on")
    return study, max(finished, key=lambda folder: folder.read_state().started)


def _name_of(folder: SweepFolder) -> str:
    return folder.sweep_id.rpartition("-")[0]
