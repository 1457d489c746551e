"""The test split and external cohorts, read once, by the final evaluation of the chosen configuration, nothing else."""

from collections.abc import Iterator

import numpy as np

from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Rows, VolumeStore, in_parts


def load_test(store: VolumeStore, splits: Splits) -> Iterator[Rows]:
    """The test split in store order, in parts of bounded size. Nothing that trains, chooses or prunes may call this."""
    return in_parts(store, store.rows_of(splits.test))


def load_external(cohort: VolumeStore) -> Iterator[Rows]:
    """All of an external cohort; see `load_test`."""
    return in_parts(cohort, np.arange(len(cohort.subjects)))
