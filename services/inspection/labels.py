"""Labels by split, site and sex."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from contrasweep.services.data.problems import Problem
from contrasweep.services.text import first_few
from contrasweep.trainers.data.participants import labels_of
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import StoredSubject

GROUP = "group"
TELLING = 0.1
"""The share of the label's variance from which a column is told to explain it."""


@dataclass(frozen=True)
class Labels:
    """Of the scans with one value of a column; the labels themselves, sorted, for a histogram."""

    value: str
    values: tuple[float, ...]

    @property
    def figures(self) -> tuple[int, float, float, float, float]:
        """Count, mean, sd, minimum and maximum."""
        return (
            len(self.values),
            float(np.mean(self.values)),
            float(np.std(self.values)),
            self.values[0],
            self.values[-1],
        )


def labels_by_column(subjects: Sequence[StoredSubject]) -> dict[str, list[Labels]]:
    """For each column that tells site or sex, and for the group where it is another: labels by value."""
    columns = _described(subjects)
    if group_column(subjects) == GROUP:
        columns[GROUP] = [scan.group or "" for scan in subjects]
    return {name: _by_value(values, subjects) for name, values in columns.items()}


def group_column(subjects: Sequence[StoredSubject]) -> str | None:
    """The column that tells site or sex and is the group, or else GROUP; None where there are no groups."""
    groups = [scan.group or "" for scan in subjects]
    same = (name for name, values in _described(subjects).items() if values == groups)
    return next(same, GROUP) if any(groups) else None


def labels_by_split(subjects: Sequence[StoredSubject], splits: Splits) -> list[Labels]:
    """Labels of each split's stored scans, in the order train, validation, test; or of each fold's and the test's."""
    label = {scan.id: scan.label for scan in subjects if scan.label is not None}
    parts = {name: [label[scan] for scan in ids if scan in label] for name, ids in splits.parts.items()}
    return [_sorted(name, values) for name, values in parts.items() if values]


def all_labels(subjects: Sequence[StoredSubject]) -> Labels:
    """Labels of everyone."""
    return _sorted("all", labels_of(subjects))


def label_problems(subjects: Sequence[StoredSubject]) -> list[Problem]:
    """A line where every scan of a subject has one label: for an age, that of the first visit may stand for all."""
    labels: defaultdict[str, list[float]] = defaultdict(list)
    for scan in subjects:
        labels[scan.subject] += labels_of([scan])
    several = {subject: of for subject, of in labels.items() if len(of) > 1}
    if not several or any(len(set(of)) > 1 for of in several.values()):
        return []
    what = f"subjects with several scans, and one label for all of them ({len(several):,})"
    return [Problem("warning", f"{what}: {first_few(sorted(several))}")]


def explained_problems(subjects: Sequence[StoredSubject]) -> list[Problem]:
    """A line for each column that explains the label: what tells its values apart may be learned in the label's place.

    That is more than a tenth of the variance, by one-way analysis of variance without what chance explains (epsilon²,
    Kelley 1935).
    """
    shares = {column: _explained([part.values for part in of]) for column, of in labels_by_column(subjects).items()}
    return [
        Problem("note", f"{column} explains {100 * share:.0f} % of the label's variance; a model may learn it instead")
        for column, share in shares.items()
        if share > TELLING
    ]


def _explained(groups: Sequence[Sequence[float]]) -> float:
    """The share of the variance that lies between groups, without chance's; 0 where nothing is left to tell it by."""
    y = np.concatenate([np.asarray(group) for group in groups])
    within, free = sum(float(((np.asarray(g) - np.mean(g)) ** 2).sum()) for g in groups), len(y) - len(groups)
    total = float(((y - y.mean()) ** 2).sum())
    return 1 - within / free / (total / (len(y) - 1)) if free > 0 and total > 0 else 0.0


def _described(subjects: Sequence[StoredSubject]) -> dict[str, list[str]]:
    names = sorted({name for scan in subjects for name in scan.described})
    return {name: [scan.described.get(name, "n/a") for scan in subjects] for name in names}


def _by_value(values: Sequence[str], subjects: Sequence[StoredSubject]) -> list[Labels]:
    found: dict[str, list[float]] = {}
    for value, scan in zip(values, subjects, strict=True):
        found.setdefault(value, []).extend(labels_of([scan]))
    return [_sorted(value, labels) for value, labels in sorted(found.items()) if labels]


def _sorted(value: str, labels: Iterable[float]) -> Labels:
    return Labels(value, tuple(sorted(labels)))
