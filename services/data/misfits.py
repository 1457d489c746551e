"""Scans that preparing would reject because they come out of the transforms in another shape than most."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.data.participants import Rejected, Subject
from contrasweep.trainers.data.readers import Header, UnreadableError
from contrasweep.trainers.data.several import same_places
from contrasweep.trainers.data.transforms import Pipeline
from contrasweep.trainers.data.volume import differs, load_scan

Headers = tuple[Header, ...]
"""Of a scan: one for each of its images."""
MOST_KINDS = 8
"""Kinds of header of which a scan is transformed, the commonest first."""
PROBES = 3
"""Scans of a kind that must all fail before the others are said to."""


def misfits(
    loaded: LoadedSpec, pipeline: Pipeline, headers: Sequence[tuple[Subject, Headers]]
) -> tuple[tuple[int, ...] | None, list[Rejected]]:
    """The shape (C, *S) that most scans are prepared to, and those that would have another or fail.

    Scans whose headers tell the same shape, voxel size and orientation become the same, so few of each kind are read;
    of several images, whether they are on one grid counts, too. No shape is known where each of these fails.
    """
    kinds: Mapping[object, list[Subject]] = defaultdict(list)
    for subject, told in headers:
        kinds[_kind(told)].append(subject)
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
        Rejected.of(subject, outcome if isinstance(outcome, str) else differs(outcome, usual))
        for alike, outcome in zip(probed, outcomes, strict=True)
        if outcome != usual
        for subject in alike
    ]


def _kind(headers: Headers) -> object:
    """What decides how a scan comes out of the transforms."""
    return tuple((one.shape, one.spacing_mm, one.orientation, _is_on(headers[0], one)) for one in headers)


def _is_on(first: Header, other: Header) -> bool:
    """Whether another image of a scan may be on the first one's grid."""
    return first.affine is None or other.affine is None or same_places(first.affine, other.affine, first.shape[1:])


def _outcome(loaded: LoadedSpec, pipeline: Pipeline, alike: Sequence[Subject]) -> tuple[int, ...] | str:
    """The shape of the first that can be used, or why the last cannot."""
    data, reason = loaded.spec.data, ""
    for subject in alike:
        try:
            return load_scan(subject, pipeline, data.dtype, data.affine).values.shape
        except UnreadableError as error:
            reason = str(error)
    return reason
