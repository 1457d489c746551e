"""The test split, read once, by the final evaluation of the chosen configuration and by nothing else."""

from trainers.data.splits import Splits
from trainers.data.store import Rows, VolumeStore


def load_test(store: VolumeStore, splits: Splits) -> Rows:
    """The test split's rows. Nothing that trains, chooses or prunes may call this."""
    return store.load(splits.test)
