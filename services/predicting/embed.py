"""Embeddings of scans as a Parquet file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contrasweep.services.predicting.predict import Found, Said
from contrasweep.services.records.files import write_asked
from contrasweep.trainers.errors import UserError

ENDING = ".parquet"


def check_ending(path: Path) -> None:
    """Raise UserError where a file is not called as Parquet is."""
    if path.suffix.lower() != ENDING:
        raise UserError(f"--out: '{path}' is not allowed: must end in {ENDING}")


def write_embeddings(path: Path, found: Found) -> None:
    """Write `embeddings_table`, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(embeddings_table(found.said), sink)
    write_asked(path, sink.getvalue().to_pybytes())


def embeddings_table(said: Sequence[Said]) -> pa.Table:
    """A row for each scan: scan, subject, session, path, label, prediction and, of each run, its features [F], float32,
    as `features_seed_0`. Runs have no axes in common, so that their features have no mean.
    """
    scans = [one.scan for one in said]
    columns = {
        "scan": pa.array([scan.id for scan in scans], pa.string()),
        "subject": pa.array([scan.subject for scan in scans], pa.string()),
        "session": pa.array([scan.session or None for scan in scans], pa.string()),
        "path": pa.array([",".join(map(str, scan.paths)) for scan in scans], pa.string()),
        "label": pa.array([scan.label for scan in scans], pa.float64()),
        "prediction": pa.array([one.prediction.prediction for one in said], pa.float64()),
    }
    for run in said[0].prediction.features if said else ():
        columns[f"features_{run.replace('-', '_')}"] = _vectors([one.prediction.features[run] for one in said])
    return pa.table(columns)


def _vectors(features: Sequence[np.ndarray]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(features)), len(features[0]))
