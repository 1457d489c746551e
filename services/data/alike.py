"""Scans that are one image, look like one image or are of one person, and which of them straddle a split."""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contrasweep.services.data.doubts import side_doubts
from contrasweep.services.data.problems import Problem, Severity
from contrasweep.services.text import first_few
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import StoredSubject, VolumeStore

_SHOWN_OF_A_GROUP = 4

Group = tuple[StoredSubject, ...]


@dataclass(frozen=True)
class LookAlike:
    """Two scans, by their rows in the store, whose different images correlate."""

    rows: tuple[int, int]
    correlation: float


@dataclass(frozen=True)
class Likeness:
    """Groups of scans that have something in common, which `what` says."""

    what: str
    groups: tuple[Group, ...]

    def straddling(self, sides: Mapping[str, Sequence[str]]) -> "Likeness":
        """The groups that are in several splits; `sides` are the splits of each scan."""
        across = (group for group in self.groups if len({name for scan in group for name in sides[scan.id]}) > 1)
        return Likeness(self.what, tuple(across))


def leaks(store: VolumeStore, splits: Splits, look_alikes: Sequence[LookAlike] = ()) -> list[Problem]:
    """What is on several sides of a split: an image, a file, a look-alike, a subject, ids of probably one person, or a
    value of a column that names people or families.

    Reads no image. One problem for each kind, with the first few by name, their number and their splits.
    """
    sides = split_of(store, splits)

    def told(scan: StoredSubject) -> str:
        return f"{scan.id} ({' and '.join(sides[scan.id])})"

    kinds = [*equal_images(store.subjects), one_subject(store.subjects), one_person(store.subjects)]
    across = [kind.straddling(sides) for kind in (*kinds, alike(store.subjects, look_alikes))]
    torn = [Problem("leak", doubt) for doubt in side_doubts(store.subjects, splits)]
    return [*(_problem(kind, "leak", " in several splits", told) for kind in across if kind.groups), *torn]


def shared(store: VolumeStore, splits: Splits, cohort: VolumeStore) -> list[Problem]:
    """Scans of an external cohort whose stored values are those of a scan of the study, with its id and split."""
    sides = split_of(store, splits)
    known = {scan.content: f"{scan.id} ({' and '.join(sides[scan.id]) or 'in no split'})" for scan in store.subjects}
    found = [f"{scan.id} is {known[scan.content]}" for scan in cohort.subjects if scan.content in known]
    return [Problem("warning", f"images that the study has, too ({len(found):,}): {first_few(found)}")] * bool(found)


def duplicates(store: VolumeStore, look_alikes: Sequence[LookAlike] = ()) -> list[Problem]:
    """What is there twice, in whichever split, and what is there twice with different labels."""
    images, people = equal_images(store.subjects), one_person(store.subjects)
    found = [
        _problem(Likeness(kind.what, groups), "warning", where, _id)
        for kind in (*images, alike(store.subjects, look_alikes))
        for where, groups in _by_owner(kind.groups).items()
    ]
    torn = tuple(group for kind in images for group in kind.groups if len({scan.label for scan in group}) > 1)
    if torn:
        found.append(_problem(Likeness("one image", torn), "warning", " with different labels", _labelled))
    if people.groups:
        found.append(_problem(people, "warning", "", _id))
    return found


def unsettled(store: VolumeStore, splits: Splits) -> list[Problem]:
    """Ids that splits name and the store does not hold, and scans that are in no split."""
    stored = {scan.id for scan in store.subjects}
    sides = split_of(store, splits)
    missing = [scan for scan in sides if scan not in stored]
    unused = [scan for scan, names in sides.items() if not names]
    told = [(missing, "scans that a split names and the store does not hold"), (unused, "stored scans in no split")]
    return [Problem("warning", f"{what} ({len(ids):,}): {first_few(ids)}") for ids, what in told if ids]


def split_of(store: VolumeStore, splits: Splits) -> dict[str, list[str]]:
    """The splits, or the folds, that name a scan, by its id; none for a stored one that is left out."""
    sides: dict[str, list[str]] = {scan.id: [] for scan in store.subjects}
    for name, ids in splits.sides.items():
        for scan in dict.fromkeys(ids):
            sides.setdefault(scan, []).append(name)
    return sides


def equal_images(subjects: Sequence[StoredSubject]) -> list[Likeness]:
    """Scans with the same stored values, and those with a file in common though what is stored differs."""
    images = _groups(subjects, lambda scan: [scan.content])
    files = (group for group in _groups(subjects, lambda scan: scan.digests) if len({s.content for s in group}) > 1)
    return [Likeness("the same image", tuple(images)), Likeness("the same file", tuple(files))]


def one_subject(subjects: Sequence[StoredSubject]) -> Likeness:
    """Scans of one subject; a subject with one scan counts, as a split may name it twice."""
    return Likeness("one subject", tuple(_groups(subjects, lambda scan: [scan.subject], least=1)))


def one_person(subjects: Sequence[StoredSubject]) -> Likeness:
    """Scans of subjects whose ids differ in case, a "sub-" in front, leading zeros and punctuation only."""
    groups = _groups(subjects, lambda scan: [bare_id(scan.subject)])
    several = (group for group in groups if len({scan.subject for scan in group}) > 1)
    return Likeness("ids that are probably of one person", tuple(several))


def alike(subjects: Sequence[StoredSubject], look_alikes: Iterable[LookAlike]) -> Likeness:
    """Look-alikes as groups of two."""
    return Likeness(
        "images that look alike", tuple((subjects[a], subjects[b]) for a, b in (p.rows for p in look_alikes))
    )


def bare_id(subject: str) -> tuple[str, ...]:
    """What is left of an id without case, "sub-" in front, leading zeros and punctuation; itself where nothing is.

    >>> bare_id("sub-007"), bare_id("SUB_7"), bare_id("site-1_07") == bare_id("site-17")
    (('7',), ('7',), False)
    """
    parts = re.findall(r"[^\W\d_]+|\d+", subject.casefold())
    parts = parts[1:] if len(parts) > 1 and parts[0] == "sub" else parts
    return tuple(part.lstrip("0") or "0" if part.isdigit() else part for part in parts) or (subject,)


def _groups(
    subjects: Sequence[StoredSubject], keys: Callable[[StoredSubject], Iterable[Hashable]], least: int = 2
) -> Iterator[Group]:
    """Scans that share one of their keys, in groups of `least` and more, in the store's order."""
    found: defaultdict[Hashable, list[StoredSubject]] = defaultdict(list)
    for subject in subjects:
        for key in keys(subject):
            found[key].append(subject)
    return (tuple(group) for group in found.values() if len(group) >= least)


def _by_owner(groups: Iterable[Group]) -> dict[str, tuple[Group, ...]]:
    """Groups across subjects and groups within one, in words; without the empty."""
    across = " in different subjects"
    found: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        found[across if len({scan.subject for scan in group}) > 1 else " twice in one subject"].append(group)
    return {where: tuple(found[where]) for where in sorted(found)}


def _problem(kind: Likeness, severity: Severity, where: str, name: Callable[[StoredSubject], str]) -> Problem:
    groups = [first_few([name(scan) for scan in group], ", ", _SHOWN_OF_A_GROUP) for group in kind.groups]
    return Problem(severity, f"{kind.what}{where} ({len(groups):,}): {first_few(groups, '; ')}")


def _id(scan: StoredSubject) -> str:
    return scan.id


def _labelled(scan: StoredSubject) -> str:
    return f"{scan.id} ({'no label' if scan.label is None else f'{scan.label:g}'})"
