"""All that an inspection finds, as plain values for a screen and a page."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contrasweep.services.data.alike import LookAlike, duplicates, leaks, unsettled
from contrasweep.services.data.doubts import table_doubts
from contrasweep.services.data.problems import SEVERITIES, Problem, Severity
from contrasweep.services.inspection.labels import (
    Labels,
    all_labels,
    explained_problems,
    group_column,
    label_problems,
    labels_by_column,
    labels_by_split,
)
from contrasweep.services.inspection.look_alikes import MOST_PAIRS, look_alikes
from contrasweep.services.inspection.origins import Trait, origin_problems, traits
from contrasweep.services.inspection.survey import MOST_COMPARED, Survey, spread_over, survey
from contrasweep.services.inspection.target import Target
from contrasweep.services.inspection.unusual import Outlier, nearly_blank, outliers, unusual_problems
from contrasweep.services.text import count
from contrasweep.trainers.data.store import LeftOut, Manifest, VolumeStore

SHEET = 48


@dataclass(frozen=True)
class Rejections:
    """Scans that were rejected for reasons that differ in numbers and names only; `reason` is the first."""

    reason: str
    scans: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """What there is and what is wrong with it, the gravest first; `sheet` are the rows of the contact sheet."""

    store: VolumeStore
    problems: tuple[Problem, ...]
    rejections: tuple[Rejections, ...]
    everyone: Labels
    by_column: dict[str, list[Labels]]
    by_split: dict[str, list[Labels]]
    traits: tuple[Trait, ...]
    outliers: tuple[Outlier, ...]
    survey: Survey
    sheet: tuple[int, ...]

    @property
    def manifest(self) -> Manifest:
        """What the store says of itself."""
        return self.store.manifest

    @property
    def subjects(self) -> int:
        """How many different subjects the scans are of."""
        return len({scan.subject for scan in self.store.subjects})

    @property
    def most_scans(self) -> int:
        """The most scans of one subject."""
        return max(Counter(scan.subject for scan in self.store.subjects).values())

    def count(self, severity: Severity) -> int:
        """How many problems are of a severity."""
        return sum(problem.severity == severity for problem in self.problems)

    @property
    def verdict(self) -> str:
        """The number of problems of each severity, in words."""
        return ", ".join(count(self.count(severity), severity) for severity in SEVERITIES)


def inspect_store(target: Target, progress: Callable[[int, int], None]) -> Report:
    """Look at everything: the manifest, and each image once."""
    store = target.store
    scans = store.subjects
    sheet = spread_over(store.labels, SHEET)
    found = survey(store, sheet, progress)
    pairs = look_alikes(store, found.thumbnails) if found.thumbnails is not None else []
    unusual = outliers(scans, found)
    problems = [
        *_leaks(target, pairs),
        *target.problems,
        *duplicates(store, pairs),
        *_limits(found, len(pairs)),
        *unusual_problems(nearly_blank(scans, found), unusual),
        *origin_problems(store.manifest),
        *label_problems(scans),
        *explained_problems(scans),
        *_doubts(store),
    ]
    return Report(
        store=store,
        problems=tuple(sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))),
        rejections=rejections(store.manifest.rejected),
        everyone=all_labels(scans),
        by_column=labels_by_column(scans),
        by_split={name: labels_by_split(scans, splits) for name, splits in target.splits.items()},
        traits=traits(store.manifest),
        outliers=tuple(unusual),
        survey=found,
        sheet=tuple(sheet),
    )


def rejections(rejected: Sequence[LeftOut]) -> tuple[Rejections, ...]:
    """Rejected scans by reason, the commonest first; what a reason quotes or counts tells no reasons apart.

    The name of the image that a reason begins with does.
    """
    found: defaultdict[str, list[LeftOut]] = defaultdict(list)
    for scan in rejected:
        found[re.sub(r"((?:^|; )\S+: )|'[^']*'|[\d.]+", r"\1", scan.reason)].append(scan)
    groups = sorted(found.values(), key=len, reverse=True)
    return tuple(Rejections(group[0].reason, tuple(scan.subject for scan in group)) for group in groups)


def _leaks(target: Target, pairs: Sequence[LookAlike]) -> list[Problem]:
    """Leaks of all splits, by name where there are several, and ids on which splits and store do not agree."""
    problems = []
    for name, splits in target.splits.items():
        where = f"{name}: " if len(target.splits) > 1 else ""
        for problem in [*leaks(target.store, splits, pairs), *unsettled(target.store, splits)]:
            problems.append(Problem(problem.severity, where + problem.text))
    if not target.splits:
        problems.append(Problem("note", "the store holds no splits, so nothing is said of leaks between them"))
    return problems


def _doubts(store: VolumeStore) -> list[Problem]:
    """What `validate` says of the table, of the scans that are stored."""
    scans = store.subjects
    doubts = table_doubts(scans, store.manifest.labels.column, group_column(scans))
    return [Problem("warning", doubt) for doubt in doubts]


def _limits(found: Survey, pairs: int) -> list[Problem]:
    """What was not looked for, and why."""
    if found.thumbnails is None:
        return [Problem("note", f"look-alikes were not searched for: more than {MOST_COMPARED:,} scans")]
    if pairs == MOST_PAIRS:
        return [Problem("note", f"the search for look-alikes ended at {MOST_PAIRS:,} pairs: the images are much alike")]
    return []
