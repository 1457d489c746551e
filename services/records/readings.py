"""Several readings of each run of complete configurations, beside `final.json`: to learn from, not to choose.

readings.parquet              columns trial, run, epoch, features, probe, split, scan, label, prediction
embeddings/
  scans.txt                   the scans of the test split, one a line
  3-0-6-projection.npy        features [n_test, F] float32, in their order: of configuration 3, its run 0, after epoch 6

An epoch counts from 1; 0 is the one that counts. `split` is test or validation, which with folds is the run's fold.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from contrasweep.services.records.parquet import read_parquet
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

READINGS = "readings.parquet"
EMBEDDINGS = "embeddings"
SCANS = "scans.txt"
COLUMNS = ("trial", "run", "epoch", "features", "probe", "split", "scan", "label", "prediction")


class Weights(NamedTuple):
    """A run of configuration `trial`, as it was after an epoch."""

    trial: int
    run: Replicate
    epoch: int

    def file(self, features: str) -> str:
        """The name of its features in a space.

        >>> Weights(3, Replicate(0, fold=1), 6).file("encoder")
        '3-fold-1-seed-0-6-encoder.npy'
        """
        return f"{self.trial}-{str(self.run).replace(' ', '-')}-{self.epoch}-{features}.npy"


class Reading(NamedTuple):
    """What a probe predicts [n] from the features of scans of a split, with labels [n]."""

    weights: Weights
    features: str
    probe: str
    split: str
    scans: Sequence[str]
    labels: "NDArray[np.float64]"
    predictions: "NDArray[np.float64]"


def write_readings(path: Path, readings: Iterable[Sequence[Reading]]) -> None:
    """Write the file, whole or not at all: a row group for those that come together."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with replacing(path) as file, pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for together in readings:
            parts = [pa.table(_columns(one), schema) for one in together]
            writer.write_table(pa.concat_tables([schema.empty_table(), *parts]).combine_chunks())


def read_readings(final: Path) -> "pa.Table":
    """The table beside `final`; empty where there is none. Raises Damaged where it is not what was written."""
    path = final.with_name(READINGS)
    return read_parquet(path) if path.exists() else _schema().empty_table()


def _schema() -> "pa.Schema":
    import pyarrow as pa

    kinds = (pa.int64(), pa.string(), pa.int64(), *[pa.string()] * 4, *[pa.float64()] * 2)
    return pa.schema(list(zip(COLUMNS, kinds, strict=True)))


def _columns(one: Reading) -> dict[str, Any]:
    told = (one.weights.trial, str(one.weights.run), one.weights.epoch, one.features, one.probe, one.split)
    values = (*([value] * len(one.scans) for value in told), list(one.scans), one.labels, one.predictions)
    return dict(zip(COLUMNS, values, strict=True))
