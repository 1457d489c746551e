"""Slices to a volume: which comes after which, and where it lies."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import UnreadableError

STEP_TOLERANCE = 0.05
"""How far a slice may lie from where even steps would put it, as a share of a step; scanners round positions."""
FRAMES = frozenset({"TemporalPositionIdentifier", "TemporalPositionIndex"})
"""Times that number whole volumes, so that every place must have the same ones."""
SAME_PLACE = 1e-3
"""Slices closer than this share of a pixel are at one place."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice:
    """One plane of voxels, lengths in millimetres, directions in LPS+ as DICOM has them.

    `name` is what a reason calls it, `shape` (rows, columns), `position` [3] the centre of the first voxel, `axes`
    [2, 3] unit vectors along a row and down a column, `pixel_mm` [2] the steps between rows and between columns,
    `times` whatever may order slices at one place, `contrast` what must be one for all of these.
    """

    name: str
    shape: tuple[int, int]
    position: NDArray[np.float64]
    axes: NDArray[np.float64]
    pixel_mm: NDArray[np.float64]
    thickness_mm: float
    times: Mapping[str, Any]
    contrast: Mapping[str, Any]

    @property
    def normal(self) -> NDArray[np.float64]:
        """The unit vector across the plane."""
        return np.cross(self.axes[0], self.axes[1])


@dataclass(frozen=True, eq=False)
class Stack:
    """`order` [Z][T] are places in the list of slices; `affine` [4, 4] takes (column, row, slice) to RAS+ mm."""

    order: list[list[int]]
    affine: NDArray[np.float64]


def stack(slices: Sequence[Slice]) -> Stack:
    """Slices of one volume, or of several of one place at different times, in order along their normal.

    Raises UnreadableError where they differ in size or direction, a slice is missing between others, or
    several lie at one place and no time tells them apart, or not the same ones at all places. A tilted gantry gives a
    sheared affine.
    """
    _check_alike(slices)
    places = _places(slices)
    first = [slices[place[0]] for place in places]
    step = _step(first)
    affine = np.eye(4)
    affine[:3, 0] = slices[0].axes[0] * slices[0].pixel_mm[1]
    affine[:3, 1] = slices[0].axes[1] * slices[0].pixel_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first[0].position
    return Stack(_in_time(slices, places), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def _check_alike(slices: Sequence[Slice]) -> None:
    first = slices[0]
    if not (np.isfinite(first.pixel_mm) & (first.pixel_mm > 0)).all():
        raise UnreadableError(f"{first.name} says that its pixels measure {_shown(first.pixel_mm)} mm")
    for other in slices[1:]:
        for what, mine, theirs, tolerance in (
            ("rows and columns", first.shape, other.shape, 0.0),
            ("pixel size", first.pixel_mm, other.pixel_mm, 1e-4),
            ("orientation", first.axes.ravel(), other.axes.ravel(), 1e-3),
        ):
            if not np.allclose(mine, theirs, rtol=0, atol=tolerance):
                raise UnreadableError(
                    f"slices differ in {what}: {_shown(mine)} in {first.name}, {_shown(theirs)} in {other.name}"
                )


def _shown(numbers: Sequence[float] | NDArray[np.float64]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _places(slices: Sequence[Slice]) -> list[list[int]]:
    """Slices grouped by where they lie along the normal, in its order."""
    along = np.array([slices[0].normal @ each.position for each in slices])
    if not np.isfinite(along).all():
        raise UnreadableError("slices have positions that are not finite")
    same = SAME_PLACE * float(slices[0].pixel_mm.min())
    places: list[list[int]] = []
    for index in np.argsort(along, kind="stable").tolist():
        if places and along[index] - along[places[-1][0]] < same:
            places[-1].append(index)
        else:
            places.append([index])
    return places


def _step(first: Sequence[Slice]) -> NDArray[np.float64]:
    """The vector [3] from a slice to the next, the same everywhere. `first` has one slice of each place, in order."""
    if len(first) == 1:
        return first[0].normal * first[0].thickness_mm
    normal = first[0].normal
    gaps = sorted(float(normal @ (b.position - a.position)) for a, b in pairwise(first))
    usual = gaps[(len(gaps) - 1) // 2]  # of two in the middle the lesser: what is missing makes gaps larger
    for a, b in pairwise(first):
        gap = normal @ (b.position - a.position)
        if abs(gap - usual) > STEP_TOLERANCE * usual:
            raise UnreadableError(
                f"has uneven slices, one may be missing: {gap:.4g} mm between {a.name} and {b.name}, "
                f"elsewhere {usual:.4g} mm"
            )
    step: NDArray[np.float64] = (first[-1].position - first[0].position) / (len(first) - 1)
    for index, each in enumerate(first):
        if np.linalg.norm(each.position - first[0].position - index * step) > STEP_TOLERANCE * usual:
            raise UnreadableError(f"{each.name} does not lie on the line from {first[0].name} to {first[-1].name}")
    return step


def _in_time(slices: Sequence[Slice], places: list[list[int]]) -> list[list[int]]:
    """Slices of each place in the order of the first kind of time that tells all of them apart."""
    counts = {len(place) for place in places}
    if counts == {1}:
        return places
    fewest, most = min(places, key=len), max(places, key=len)
    if len(counts) > 1:
        raise UnreadableError(
            f"has {len(most)} slices at the place of {slices[most[0]].name} "
            f"and {len(fewest)} at that of {slices[fewest[0]].name}"
        )
    _check_contrast(slices, places)
    for kind in slices[0].times:
        times = [[slices[index].times.get(kind) for index in place] for place in places]
        if all(map(_told_apart, times)):
            if kind in FRAMES and len(set(map(frozenset, times))) > 1:
                raise UnreadableError(f"has slices of other times at some places: their {kind} differ")
            return [sorted(place, key=lambda index: slices[index].times[kind]) for place in places]
    names = " and ".join(slices[index].name for index in most[:2])
    raise UnreadableError(f"has {len(most)} slices at one place, and no time tells them apart: {names}")


def _told_apart(times: Sequence[Any]) -> bool:
    return None not in times and len(set(times)) == len(times)


def _check_contrast(slices: Sequence[Slice], places: list[list[int]]) -> None:
    for place in places:
        found = defaultdict(set)
        for index in place:
            for kind, value in slices[index].contrast.items():
                found[kind].add(value)
        for kind, values in found.items():
            if len(values) > 1:
                shown = ", ".join(sorted(map(str, values)))
                raise UnreadableError(f"has slices at one place that differ in {kind}: {shown}")
