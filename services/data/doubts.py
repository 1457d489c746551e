"""What is odd about the usable rows of a table, and a reason to look before a sweep is spent on them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from contrasweep.services.text import count, first_few, number
from contrasweep.trainers.data.participants import labels_of
from contrasweep.trainers.data.people import tells_groups
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.table import number as number_in

_REPEATED = [int(digit * times) for digit in "789" for times in range(2, 6)]
CODES = tuple(sorted([*range(-9, 1), *_REPEATED, *(-code for code in _REPEATED)]))
"""Numbers that tables have where a value is missing."""
TELLING = 0.99
"""Pearson correlation with the label from which a covariate is told."""
FAR, STEPS = 0.1, 1.5
"""How far from all other labels a code is told: as a share of their range, and in usual steps from one to the next."""
NO_VALUE = frozenset(
    {"#n/a", "#na", "<na>", "-", "--", "?", ".", "n.a.", "u", "unk", "unknown", "undefined", "missing", "not available"}
    | {"not reported", "not recorded", "declined", "refused", "other/unknown"}
)
"""Words, in lower case, that tables have where a value is missing, and that may be a group's name, too."""
_FEMALE, _MALE = "female", "male"
_SEXES = {
    _FEMALE: ("f", "fem", "females", "w", "woman", "women", "girl", "girls", "weiblich", "femme", "mujer"),
    _MALE: ("m", "masc", "males", "man", "men", "boy", "boys", "männlich", "homme", "hombre"),
}
_SYNONYMS = {word: sex for sex, words in _SEXES.items() for word in (sex, *words)}
_BREAK = re.compile(r"(?<=[^\W\d_])[\s_.-]+(?=[^\W_])|(?<=\d)[\s_.-]+(?=[^\W\d_])")
"""Between words, or words and numbers; what is between numbers tells 1-2 from 12."""
_SHOWN = 12


class Described(Protocol):
    """What a table says of a scan, whether it is stored or not yet."""

    @property
    def id(self) -> str: ...

    @property
    def label(self) -> float | None: ...

    @property
    def group(self) -> str | None: ...

    @property
    def strata(self) -> Mapping[str, str | float]: ...

    @property
    def covariates(self) -> Mapping[str, str | float]: ...

    @property
    def people(self) -> Mapping[str, str]: ...


def table_doubts(scans: Sequence[Described], label: str, group: str | None) -> list[str]:
    """All that is odd about the rows, whatever the split."""
    return [*label_doubts(scans, label), *covariate_doubts(scans, label), *category_doubts(scans, group)]


def label_doubts(scans: Sequence[Described], column: str) -> list[str]:
    """Labels that may be codes for missing values: far from all that are none."""
    labels = np.array(labels_of(scans))
    others = np.unique(labels[~np.isin(labels, CODES)])
    if len(others) < 2:
        return []
    step = STEPS * float(np.median(np.diff(others)))
    told = []
    for code in sorted(
        {int(label) for label in labels if label in CODES}, key=lambda code: np.abs(others - code).min()
    ):
        of_range = 0.0 if code < 0 <= others.min() else FAR * np.ptp(others)  # lengths and ages are never negative
        if np.abs(others - code).min() > max(step, of_range):
            told.append(code)
        else:
            others = np.append(others, code)
    if not told:
        return []
    many = int(np.isin(labels, told).sum())
    codes = ", ".join(map(str, sorted(told)))
    ends = f"{number(float(others.min()))} to {number(float(others.max()))}"
    are = f"{count(many, 'label')} of '{column}' {'is' if many == 1 else 'are'} {codes}"
    return [f"{are}, the others {ends}: missing values? data.missing: [{codes}]"]


def range_doubts(scans: Sequence[Described], trained: Sequence[float], column: str) -> list[str]:
    """Labels of a cohort that are mostly beyond those that are trained on, as where they are in another unit."""
    low, high = min(trained), max(trained)
    labels = labels_of(scans)
    beyond = [label for label in labels if not low <= label <= high]
    if len(beyond) <= len(labels) / 2:
        return []
    reach, usual = f"{number(min(labels))} to {number(max(labels))}", f"{number(low)} to {number(high)}"
    return [f"'{column}' is {reach}, mostly outside the training split's {usual} ({len(beyond)} of {len(labels)})"]


def covariate_doubts(scans: Sequence[Described], label: str) -> list[str]:
    """Covariates that all but tell the label, as an age in months tells one in years."""
    known = [scan for scan in scans if scan.label is not None]
    told = {column: values for column, values in quantities(known).items() if len(set(values)) > 1}
    alike = {column: float(np.corrcoef(values, labels_of(known))[0, 1]) for column, values in told.items()}
    return [
        f"data.covariates: '{column}' all but tells '{label}': r = {number(r)}"
        for column, r in alike.items()
        if abs(r) > TELLING
    ]


def category_doubts(scans: Sequence[Described], group: str | None) -> list[str]:
    """Groups in which no pairs can be formed, values that may be missing ones, and values of a column that seem to be
    one, spelled differently.
    """
    doubts: list[str] = []
    for column, sizes in categories(scans, group).items():
        doubts += _spellings(column, sizes)
        if empty := [value for value in sizes if _is_no_value(value)]:
            shown = first_few([f"{value!r} ({sizes[value]})" for value in empty])
            doubts.append(f"'{column}' has {shown}: missing values? data.missing names them")
        if column == group and (single := [repr(value) for value, size in sizes.items() if size == 1]):
            doubts.append(f"data.group: {count(len(single), 'group')} of one, which form no pairs: {first_few(single)}")
    return doubts


def side_doubts(scans: Sequence[Described], splits: Splits) -> list[str]:
    """Columns that name people or families, of whom some are on several sides of the split."""
    side = {scan: name for name, ids in splits.sides.items() for scan in ids}
    sides: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for scan in scans:
        for column, value in scan.people.items():
            if scan.id in side:
                sides[column][value].append(side[scan.id])
    torn = {
        column: [value for value, parts in of.items() if len(set(parts)) > 1]
        for column, of in sides.items()
        if not tells_groups(of, sum(map(len, of.values())))
    }
    return [
        f"'{column}' has values on several sides of the split ({len(values)}): {first_few(values)}; "
        f"data.id or data.split.family: {column} keeps them together"
        for column, values in torn.items()
        if values
    ]


def categories(scans: Sequence[Described], group: str | None) -> dict[str, Counter[str]]:
    """How many scans have each value of the columns of text that bear on the study."""
    cells: Mapping[str, list[str]] = defaultdict(list)
    for scan in scans:
        told = {**scan.strata, **scan.covariates}
        values = {column: value for column, value in told.items() if isinstance(value, str)}
        values |= {group: scan.group} if group is not None and scan.group is not None else {}
        for column, value in values.items():
            cells[column].append(value)
    return {column: Counter(values) for column, values in cells.items() if any(values)}


def quantities(scans: Sequence[Described]) -> dict[str, list[float]]:
    """The values of the covariates that are numbers, in the scans' order."""
    found: dict[str, list[float]] = defaultdict(list)
    for scan in scans:
        for column, value in scan.covariates.items():
            if not isinstance(value, str):
                found[column].append(value)
    return found


def shown(sizes: Counter[str]) -> str:
    """The values and how many have each, the largest first."""
    told = [f"{value or 'missing'} {size}" for value, size in sizes.most_common(_SHOWN)]
    return ", ".join(told) + (f" and {len(sizes) - _SHOWN} more" if len(sizes) > _SHOWN else "")


def _spellings(column: str, sizes: Counter[str]) -> Iterator[str]:
    spelled: dict[str | float, list[str]] = defaultdict(list)
    for value in sizes:
        spelled[_plain(value)].append(value)
    same = [" and ".join(map(repr, values)) for values in spelled.values() if len(values) > 1]
    if same:
        yield f"'{column}' may have one value spelled differently: {first_few(same, '; ')}"
    numbers = [repr(value) for value in sizes if number_in(value) is not None and not _is_no_value(value)]
    if numbers and {_FEMALE, _MALE} & spelled.keys():
        yield f"'{column}' has sexes in words and in numbers: {first_few(numbers)}"


def _plain(value: str) -> str | float:
    """What is left of a value without case, what separates its words, padding and other names of a sex."""
    found = number_in(value.strip())
    word = _BREAK.sub("", value.strip().casefold())
    return _SYNONYMS.get(word, word) if found is None else found


def _is_no_value(value: str) -> bool:
    """Whether a value is a word for none, or a number that is a code and hardly one of a group."""
    found = number_in(value)
    return value.strip().casefold() in NO_VALUE if found is None else found in CODES and (found < 0 or found > 99)
