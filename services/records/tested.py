"""What every complete configuration predicts for the test split, beside `final.json`: to learn from, not to choose.

Of other configurations there are the runs that are in an ensemble.

test_predictions.parquet   columns trial, run, scan, label, prediction
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, NamedTuple

from contrasweep.services.records.parquet import saying_damage
from contrasweep.services.spec.replicate import REFIT, Replicate, replicate_named
from contrasweep.trainers.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TESTED = "test_predictions.parquet"


class Said(NamedTuple):
    """Predictions [n] of one run of configuration `trial` for scans with labels [n]."""

    trial: int
    run: Replicate
    scans: Sequence[str]
    labels: "NDArray[np.float64]"
    predictions: "NDArray[np.float64]"


@dataclass(frozen=True)
class OnTest:
    """A configuration on the test split: MAE of its runs' mean prediction, and of each run."""

    trial: int
    mae: float
    run_mae: Mapping[Replicate, float]

    @property
    def sd(self) -> float | None:
        """Over the runs; None for one."""
        return stdev(self.run_mae.values()) if len(self.run_mae) > 1 else None


def write_tested(path: Path, said: Iterable[Said]) -> None:
    """Write the file, whole or not at all: a row group for each run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "trial": pa.int64(),
        "run": pa.string(),
        "scan": pa.string(),
        "label": pa.float64(),
        "prediction": pa.float64(),
    }
    schema = pa.schema(kinds)
    with replacing(path) as file, pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for one in said:
            rows = len(one.scans)
            columns = ([one.trial] * rows, [str(one.run)] * rows, list(one.scans), one.labels, one.predictions)
            writer.write_table(pa.table(dict(zip(kinds, columns, strict=True)), schema), row_group_size=rows)


def read_tested(path: Path) -> list[OnTest]:
    """The configurations in the file, the best on the test split first; without runs on all but that split.

    Raises Damaged where it is not what was written.
    """
    import numpy as np
    import pyarrow.parquet as pq

    of_runs: dict[int, dict[Replicate, float]] = {}
    sums: dict[int, NDArray[np.float64]] = {}
    with saying_damage(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            trial, run = table["trial"][0].as_py(), replicate_named(table["run"][0].as_py())
            if run.fold == REFIT:
                continue
            errors = table["prediction"].to_numpy() - table["label"].to_numpy()
            sums[trial] = sums[trial] + errors if trial in sums else errors
            of_runs.setdefault(trial, {})[run] = float(np.abs(errors).mean())
    found = [OnTest(trial, float(np.abs(sums[trial] / len(own)).mean()), own) for trial, own in of_runs.items()]
    return sorted(found, key=lambda one: (one.mae, one.trial))
