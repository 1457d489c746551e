"""What `data.train` leaves of the training split, in words."""

from contrasweep.services.text import number
from contrasweep.trainers.data.splits import Splits


def trained_on(splits: Splits) -> str:
    """How many scans are trained on, and what labels they are taught; "" where both are the split's own.

    >>> whole = Splits(train=("a", "b"), validation=("d",), test=("e",))
    >>> trained_on(whole), trained_on(whole.model_copy(update={"untrained": ("c",)}))
    ('', '2 of 3 scans')
    >>> trained_on(whole.model_copy(update={"taught": {"a": 30.0, "b": 20.5}}))
    '2 of 2 scans, taught 2 labels from 20.50 to 30.00'
    """
    if not splits.untrained and not splits.taught:
        return ""
    trained = len(splits.train) + len(splits.unlabelled)
    told = f"{trained:,} of {trained + len(splits.untrained):,} scans"
    told += f", {len(splits.unlabelled):,} of them without a label" if splits.unlabelled else ""
    labels = set(splits.taught.values())
    return told + (
        f", taught {len(labels):,} labels from {number(min(labels))} to {number(max(labels))}" if labels else ""
    )
