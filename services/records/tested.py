"""What every complete configuration predicts for the test split, beside `final.json`: to learn from, not to choose.

test_predictions.parquet   columns trial, run, scan, label, prediction
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, NamedTuple

from services.spec.replicate import REFIT, Replicate, replicate_named
from trainers.atomic import replacing

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
    """Write the file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [
        pa.table(
            {
                "trial": pa.array([one.trial] * len(one.scans), pa.int64()),
                "run": [str(one.run)] * len(one.scans),
                "scan": list(one.scans),
                "label": one.labels,
                "prediction": one.predictions,
            }
        )
        for one in said
    ]
    with replacing(path) as file:
        pq.write_table(pa.concat_tables(tables), file)


def read_tested(path: Path) -> list[OnTest]:
    """The configurations in the file, the best on the test split first; without runs on all but that split."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    trials, runs = table["trial"].to_numpy(), np.array(table["run"].to_pylist())
    errors = table["prediction"].to_numpy() - table["label"].to_numpy()
    found = []
    for trial in np.unique(trials).tolist():
        names = dict.fromkeys(runs[trials == trial].tolist())
        own = {run: errors[(trials == trial) & (runs == str(run))] for run in map(replicate_named, names)}
        own = {run: values for run, values in own.items() if run.fold != REFIT}
        mean = np.mean(list(own.values()), axis=0)
        by_run = {run: float(np.abs(values).mean()) for run, values in own.items()}
        found.append(OnTest(trial, float(np.abs(mean).mean()), by_run))
    return sorted(found, key=lambda one: one.mae)
