"""The files' own shapes, voxel sizes and orientations: which there are, and who differs from most."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contrasweep.services.data.problems import Problem, Severity
from contrasweep.services.text import first_few
from contrasweep.trainers.data.store import Manifest, Source, StoredSubject

UNKNOWN, NONE = "unknown", "none"
_EVENS_OUT_SPACING = frozenset({"AffineRegistration", "ResampleToMatch", "Spacing", "SpatialResample"})


@dataclass(frozen=True)
class Trait:
    """What the files have for `name`: values with counts, the commonest first, and scans with another one."""

    name: str
    counts: tuple[tuple[str, int], ...]
    others: tuple[tuple[str, str], ...]


def traits(manifest: Manifest) -> tuple[Trait, Trait, Trait]:
    """Shape, spacing and orientation of the files of all stored scans."""
    return (
        _trait("shape", manifest, lambda scan: _of_all(scan, lambda source: by(source.shape))),
        _trait("spacing", manifest, _spacing),
        _trait("orientation", manifest, _orientation),
    )


def origin_problems(manifest: Manifest) -> list[Problem]:
    """A line for each trait that is mixed, and one for volumes that do not say how they lie.

    Shapes differ by nature, and spacings that a transform evens out do no harm: those are notes.
    """
    shape, spacing, orientation = traits(manifest)
    even = any(name in _EVENS_OUT_SPACING for step in manifest.transforms for name in step)
    told: list[tuple[Trait, Severity, str]] = [
        (spacing, "note" if even else "warning", f"{'a' if even else 'no'} transform evens them out"),
        (orientation, "warning", "volumes are turned to RAS, as their headers tell"),
        (shape, "note", "transforms made them equal"),
    ]
    problems = [
        Problem(severity, f"mixed {trait.name}s ({remark}): {_told(trait)}")
        for trait, severity, remark in told
        if len(trait.counts) > 1
    ]
    unknown = [scan.id for scan in manifest.subjects if UNKNOWN in _orientation(scan)]
    if unknown:
        text = f"volumes that do not tell their orientation, taken as LAS ({len(unknown):,}): {first_few(unknown)}"
        problems.append(Problem("warning", text))
    return problems


def by_image(subjects: Sequence[StoredSubject]) -> dict[str, list[Source]]:
    """What the files held, for each image of a scan by its name; one alone has the name ""."""
    return {name: [scan.sources[name] for scan in subjects] for name in subjects[0].sources}


def by(lengths: tuple[float, ...]) -> str:
    """Lengths along axes as people write them.

    >>> by((1, 0.9375, 2.0))
    '1 × 0.938 × 2'
    """
    return " × ".join(f"{length:.3g}" if isinstance(length, float) else str(length) for length in lengths)


def _trait(name: str, manifest: Manifest, value_of: Callable[[StoredSubject], str]) -> Trait:
    values = [(scan.id, value_of(scan)) for scan in manifest.subjects]
    counts = Counter(value for _, value in values).most_common()
    return Trait(name, tuple(counts), tuple(pair for pair in values if pair[1] != counts[0][0]))


def _of_all(scan: StoredSubject, value_of: Callable[[Source], str]) -> str:
    """What the scan's several images have, each value once."""
    return " + ".join(dict.fromkeys(map(value_of, scan.sources.values())))


def _spacing(scan: StoredSubject) -> str:
    return _of_all(scan, lambda source: NONE if source.spacing_mm is None else f"{by(source.spacing_mm)} mm")


def _orientation(scan: StoredSubject) -> str:
    """Files that lie nowhere, such as pictures, have none; volumes whose header leaves it out have an unknown one."""

    def told(source: Source) -> str:
        is_volume = source.spacing_mm is not None and len(source.shape) > 3
        return source.orientation or (UNKNOWN if is_volume else NONE)

    return _of_all(scan, told)


def _told(trait: Trait) -> str:
    (commonest, count), total = trait.counts[0], sum(count for _, count in trait.counts)
    others = first_few([f"{scan} ({value})" for scan, value in trait.others])
    return f"{count:,} of {total:,} have {commonest}, others {others}"
