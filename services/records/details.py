"""For whom, and how sure, the figures on the test split are: `details.json`, beside `final.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.records.final_report import Evaluation
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.data.store import StoredSubject
from contrasweep.trainers.served import Calibration, SampleEvaluation, evaluate_sample

_FILE = "details.json"


def details_of(
    evaluation: Evaluation,
    scans: Sequence[StoredSubject],
    calibration: Calibration | None,
    features: Mapping[str, NDArray[np.float32]] | None = None,
) -> SampleEvaluation:
    """Those of an evaluation, of whose scans the store says more, and each run has `features` [n, F], in its order."""
    cells = {column: [scan.described[column] for scan in scans] for column in scans[0].described}
    several = len(evaluation.scans) > evaluation.n_subjects
    return evaluate_sample(
        evaluation.labels,
        evaluation.mean_prediction,
        evaluation.subjects,
        sessions=[scan.id.removeprefix(scan.subject) for scan in scans] if several else (),
        columns={column: own for column, own in cells.items() if len({*own}) > 1},
        features=features,
        calibration=calibration,
    )


def write_details(final: Path, details: SampleEvaluation) -> None:
    """Write them beside `final`, whole or not at all."""
    write_atomically(final.with_name(_FILE), details.model_dump_json(indent=1).encode())


def read_details(final: Path) -> SampleEvaluation | None:
    """Those beside `final`; None before it is there, where an earlier version wrote it, and where they are damaged."""
    path = final.with_name(_FILE)
    try:
        return SampleEvaluation.model_validate_json(path.read_bytes()) if final.exists() else None
    except (FileNotFoundError, ValueError):
        return None
