"""The test split and external cohorts, read once, by the final evaluation of the chosen configuration, nothing else."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainers.data.splits import Splits
from trainers.data.store import Rows, VolumeStore

_PART_BYTES = 256 * 2**20


def load_test(store: VolumeStore, splits: Splits) -> Iterator[Rows]:
    """The test split in store order, in parts of bounded size. Nothing that trains, chooses or prunes may call this."""
    return _in_parts(store, store.rows_of(splits.test))


def load_external(cohort: VolumeStore) -> Iterator[Rows]:
    """All of an external cohort; see `load_test`."""
    return _in_parts(cohort, np.arange(len(cohort.subjects)))


def _in_parts(store: VolumeStore, rows: NDArray[np.int64]) -> Iterator[Rows]:
    size = max(1, _PART_BYTES // store.volume_nbytes)
    for part in np.split(rows, range(size, len(rows), size)):
        yield store.load(store.subjects[row].id for row in part)
