"""What is odd about the usable rows of a table, and a reason to look before a sweep is spent on them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from services.text import count, first_few, number
from trainers.data.participants import Subject
from trainers.data.splits import Splits

CODES = (-9999, -999, -99, -9, -4, -1, 0, 99, 999, 9999)
"""Numbers that tables have where a value is missing."""
FAR = 0.25
"""How far from all other labels a code is told, as a share of their range."""
_SYNONYMS = {"f": "female", "w": "female", "woman": "female", "m": "male", "man": "male"}
_SHOWN = 12


def label_doubts(subjects: Sequence[Subject], column: str) -> list[str]:
    """Labels that may be codes for missing values: far from all that are none."""
    labels = np.array([subject.label for subject in subjects])
    others = labels[~np.isin(labels, CODES)]
    if len(others) < 2:
        return []
    reach = FAR * np.ptp(others)
    told = [code for code in CODES if code in labels and np.abs(others - code).min() > reach]
    if not told:
        return []
    many = count(int(np.isin(labels, told).sum()), "label")
    codes = ", ".join(map(str, told))
    ends = f"{number(float(others.min()))} to {number(float(others.max()))}"
    return [f"{many} of '{column}' are {codes}, the others {ends}: missing values? data.missing: [{codes}]"]


def range_doubts(subjects: Sequence[Subject], trained: Sequence[float], column: str) -> list[str]:
    """Labels of a cohort that are mostly beyond those that are trained on, as where they are in another unit."""
    low, high = min(trained), max(trained)
    labels = [subject.label for subject in subjects]
    beyond = [label for label in labels if not low <= label <= high]
    if len(beyond) <= len(labels) / 2:
        return []
    reach, usual = f"{number(min(labels))} to {number(max(labels))}", f"{number(low)} to {number(high)}"
    return [f"'{column}' is {reach}, mostly outside the training split's {usual} ({len(beyond)} of {len(labels)})"]


def category_doubts(subjects: Sequence[Subject], group: str | None) -> list[str]:
    """Groups in which no pairs can be formed, and values of a column that seem to be one, spelled differently."""
    doubts = []
    for column, sizes in categories(subjects, group).items():
        spelled: dict[str, list[str]] = defaultdict(list)
        for value in sizes:
            plain = value.strip().casefold()
            spelled[_SYNONYMS.get(plain, plain)].append(value)
        same = [" and ".join(map(repr, values)) for values in spelled.values() if len(values) > 1]
        if same:
            doubts.append(f"'{column}' may have one value spelled differently: {first_few(same, '; ')}")
        if column == group and (single := [repr(value) for value, size in sizes.items() if size == 1]):
            doubts.append(f"data.group: {count(len(single), 'group')} of one, which form no pairs: {first_few(single)}")
    return doubts


def side_doubts(subjects: Sequence[Subject], splits: Splits) -> list[str]:
    """Columns that name people or families, of whom some are on several sides of the split."""
    side = {scan: name for name, ids in splits.parts.items() for scan in ids}
    sides: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for subject in subjects:
        for column, value in subject.people.items():
            if subject.id in side:
                sides[column][value].add(side[subject.id])
    torn = {column: [v for v, parts in of.items() if len(parts) > 1] for column, of in sides.items()}
    return [
        f"'{column}' has values on several sides of the split ({len(values)}): {first_few(values)}; "
        f"data.id or data.split.family: {column} keeps them together"
        for column, values in torn.items()
        if values
    ]


def categories(subjects: Sequence[Subject], group: str | None) -> dict[str, Counter[str]]:
    """How many scans have each value of the columns of text that bear on the study."""
    cells: Mapping[str, list[str]] = defaultdict(list)
    for subject in subjects:
        values = {column: value for column, value in subject.strata.items() if isinstance(value, str)}
        values |= {group: subject.group} if group is not None and subject.group is not None else {}
        for column, value in values.items():
            cells[column].append(value)
    return {column: Counter(values) for column, values in cells.items()}


def shown(sizes: Counter[str]) -> str:
    """The values and how many have each, the largest first."""
    told = [f"{value or 'missing'} {size}" for value, size in sizes.most_common(_SHOWN)]
    return ", ".join(told) + (f" and {len(sizes) - _SHOWN} more" if len(sizes) > _SHOWN else "")
