"""Scans that preparing would reject because they come out of the transforms in another shape than most."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from services.data.prepare import differs
from services.spec.spec import LoadedSpec
from trainers.data.participants import Rejected, Subject
from trainers.data.readers import Header, UnreadableError
from trainers.data.transforms import Pipeline
from trainers.data.volume import load_scan

MOST_KINDS = 8
"""Kinds of header of which a scan is transformed, the commonest first."""
PROBES = 3
"""Scans of a kind that must all fail before the others are said to."""


def misfits(
    loaded: LoadedSpec, pipeline: Pipeline, headers: Sequence[tuple[Subject, Header]]
) -> tuple[tuple[int, ...] | None, list[Rejected]]:
    """The shape (C, *S) that most scans are prepared to, and those that would have another or fail.

    Scans whose headers tell the same shape, voxel size and orientation become the same, so few of each kind are read.
    No shape is known where each of these fails.
    """
    kinds: Mapping[object, list[Subject]] = defaultdict(list)
    for subject, header in headers:
        kinds[header.shape, header.spacing_mm, header.orientation].append(subject)
    probed = sorted(kinds.values(), key=len, reverse=True)[:MOST_KINDS]
    outcomes = [_outcome(loaded, pipeline, alike[:PROBES]) for alike in probed]
    sizes: Counter[tuple[int, ...]] = Counter()
    for alike, outcome in zip(probed, outcomes, strict=True):
        if isinstance(outcome, tuple):
            sizes[outcome] += len(alike)
    if not sizes:
        return None, []
    usual = max(sizes, key=lambda shape: sizes[shape])
    return usual, [
        Rejected(subject.id, subject.path, outcome if isinstance(outcome, str) else differs(outcome, usual))
        for alike, outcome in zip(probed, outcomes, strict=True)
        if outcome != usual
        for subject in alike
    ]


def _outcome(loaded: LoadedSpec, pipeline: Pipeline, alike: Sequence[Subject]) -> tuple[int, ...] | str:
    """The shape of the first that can be used, or why the last cannot."""
    data, reason = loaded.spec.data, ""
    for subject in alike:
        try:
            return load_scan(subject, pipeline, data.dtype, data.affine).values.shape
        except UnreadableError as error:
            reason = str(error)
    return reason
