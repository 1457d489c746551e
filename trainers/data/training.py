"""What `data.train` makes of the training split: fewer scans, and other labels to learn from."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.config import BinWidth, TrainingSplitConfig
from contrasweep.trainers.data.splits import Splits, Splittable
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.seeding import fold

Ranges = Sequence[tuple[float, float]]


def training_split(
    splits: Splits, scans: Iterable[Splittable], outside: Collection[str], config: TrainingSplitConfig
) -> Splits:
    """The splits of a run, with what `config` leaves to train on; `TrainingSplitConfig` says in which order.

    `outside` are the ids of scans that do not fulfil `where`. What is returned has no folds, each of which is validated
    on whole: the run of another fold than the first is made of what `fold_of` gives.

    Raises UserError where nothing is left, `size` is larger than what is left before it, or there is but one label.
    """
    if config == TrainingSplitConfig():
        return splits
    names = set(splits.train)
    kept = _fulfilling([scan for scan in scans if scan.id in names], outside)
    kept = _some(_undropped(kept, config.drop), config.size, config.seed)
    labels = {scan.id: scan.label for scan in sorted(kept, key=lambda scan: scan.id) if scan.label is not None}
    unlabelled = tuple(name for name in splits.unlabelled if name not in outside)
    return Splits(
        train=tuple(labels),
        validation=splits.validation,
        test=splits.test,
        unlabelled=unlabelled,
        untrained=tuple(sorted({*splits.train, *splits.unlabelled} - {*labels, *unlabelled})),
        taught=_taught(labels, config),
    )


def binned(labels: NDArray[np.float64], bins: int | BinWidth) -> NDArray[np.float64]:
    """The mean of the labels [n] that are in one bin with each.

    SupReMix (Table 17) says of its bins that those of 1 keep whole labels as they are: means do, and centres do not.

    >>> binned(np.array([0.0, 1.0, 2.0, 8.0]), 2).tolist()
    [1.0, 1.0, 1.0, 8.0]
    >>> binned(np.array([4.0, 5.0, 6.0, 7.0]), BinWidth(width=5)).tolist()
    [4.0, 6.0, 6.0, 6.0]
    """
    import torch  # takes a second, and most training splits do without

    from contrasweep.trainers.label_bins import label_bins

    if isinstance(bins, BinWidth):
        places = label_bins(torch.from_numpy(labels), bins.width).numpy()
    else:
        above = labels - labels.min()
        places = label_bins(torch.from_numpy(above), above.max() / bins).numpy().clip(max=bins - 1)
    means = {place: labels[places == place].mean() for place in np.unique(places).tolist()}
    return np.array([means[place] for place in places.tolist()])


def permuted(labels: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The labels [n] with another of their values in place of each: equal ones stay equal, and their order is lost.

    As SupReMix (Fig. 3) "randomly reassigns a new value to each" group of one label: a bijection without a fixed point.
    """
    shuffled = np.random.default_rng(fold(seed, "permute")).permutation(np.unique(labels))
    new = dict(zip(shuffled.tolist(), np.roll(shuffled, 1).tolist(), strict=True))
    return np.array([new[label] for label in labels.tolist()])


def noisy(labels: Mapping[str, float], sd: float, seed: int) -> dict[str, float]:
    """The labels, by scan, each with a normal error of its own, which is the same whoever else is there."""
    return {name: label + sd * _normal(seed, name) for name, label in labels.items()}


def _normal(seed: int, name: str) -> float:
    return float(np.random.default_rng(fold(seed, "noise", name)).standard_normal())


def _fulfilling(scans: Sequence[Splittable], outside: Collection[str]) -> list[Splittable]:
    kept = [scan for scan in scans if scan.id not in outside]
    if not kept:
        raise UserError(f"data.train.where: none of the {len(scans)} scans of the training split fulfils it")
    return kept


def _undropped(scans: Sequence[Splittable], ranges: Ranges) -> list[Splittable]:
    """The scans of subjects none of whose labels is in a range."""
    dropped = {scan.subject for scan in scans if scan.label is not None and _is_in(scan.label, ranges)}
    kept = [scan for scan in scans if scan.subject not in dropped]
    if not kept:
        said = ", ".join(f"[{low:g}, {high:g}]" for low, high in ranges)
        raise UserError(f"data.train.drop: [{said}] leaves none of {len(dropped)} subjects to train on")
    return kept


def _is_in(label: float, ranges: Ranges) -> bool:
    return any(low <= label < high for low, high in ranges)


def _some(scans: Sequence[Splittable], size: float, seed: int) -> list[Splittable]:
    """The scans of `size` subjects. Each has a place of its own in the order of a seed, whoever else is there."""
    subjects = sorted({scan.subject for scan in scans}, key=lambda subject: (fold(seed, "size", subject), subject))
    count = round(size * len(subjects)) if size <= 1 else int(size)
    if not 0 < count <= len(subjects):
        raise UserError(
            f"data.train.size: {size:g} is not allowed: {len(subjects)} subjects are left to train on; "
            f"allowed: shares that are at least one of them, or up to {len(subjects)}"
        )
    chosen = set(subjects[:count])
    return [scan for scan in scans if scan.subject in chosen]


def _taught(labels: Mapping[str, float], config: TrainingSplitConfig) -> dict[str, float]:
    """What scans are taught in place of their own labels, by id. Raises UserError where that is one label for all."""
    values = np.array(list(labels.values()))
    if values.min() == values.max():
        raise UserError(
            f"data.train: the label of all {len(values)} scans that are left is {values[0]:g}; two labels are needed"
        )
    changed = values if config.bins is None else binned(values, config.bins)
    if changed.min() == changed.max():
        assert isinstance(config.bins, BinWidth)
        raise UserError(
            f"data.train.bins.width: {config.bins.width:g} is not allowed: all labels, {values.min():g} to "
            f"{values.max():g}, are in one bin"
        )
    changed = permuted(changed, config.seed) if config.permute else changed
    taught = {} if changed is values else dict(zip(labels, changed.tolist(), strict=True))
    return taught if config.noise is None else noisy(taught or labels, config.noise, config.seed)
