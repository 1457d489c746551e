"""Images whose values are unlike the others': outliers by a robust z, and the nearly blank."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.data.problems import Problem
from contrasweep.services.inspection.origins import by_image
from contrasweep.services.inspection.survey import Survey
from contrasweep.services.text import first_few, number
from contrasweep.trainers.data.store import StoredSubject

MOST_Z = 6.0
_FEWEST = 10
_MAD_TO_SD = 1.4826
_LEAST_SD = 0.05
"""Of what is usual: images that hardly differ at all make no outliers of those that differ a little."""
_BLANK = 0.02

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Outlier:
    """One figure of one scan, beside the median of all scans; `z` is in robust standard deviations."""

    scan: str
    figure: str
    value: float
    median: float
    z: float


def outliers(subjects: Sequence[StoredSubject], found: Survey) -> list[Outlier]:
    """Figures more than MOST_Z robust standard deviations from the median, the farthest first."""
    if len(subjects) < _FEWEST:
        return []
    unusual = [
        Outlier(subjects[row].id, figure, float(values[row]), float(np.median(values)), float(z[row]))
        for figure, values, scale in _figures(subjects, found)
        for z in [robust_z(values, _LEAST_SD * scale)]
        for row in np.flatnonzero(np.abs(z) > MOST_Z).tolist()
    ]
    return sorted(unusual, key=lambda outlier: (-abs(outlier.z), outlier.scan))


def robust_z(values: Values, least_sd: float) -> Values:
    """Distances [n] from the median in robust standard deviations, which each side has for itself, as tails are long.

    >>> robust_z(np.array([1.0, 2, 3, 4, 5, 100]), least_sd=0.1).round(1).tolist()
    [-1.1, -0.7, -0.2, 0.2, 0.7, 43.4]
    """
    deviation = values - np.median(values)
    sd = np.empty_like(values)
    for side in (deviation <= 0, deviation >= 0):
        sd[side] = max(_MAD_TO_SD * float(np.median(np.abs(deviation[side]))), least_sd, np.finfo(np.float64).tiny)
    return deviation / sd


def nearly_blank(subjects: Sequence[StoredSubject], found: Survey) -> list[str]:
    """Ids of scans with hardly any contrast, in the file or as stored, beside what is usual."""
    blank = found.sd <= _BLANK * np.median(found.sd)
    for sources in by_image(subjects).values():
        ranges = np.array([source.maximum - source.minimum for source in sources])
        blank |= ranges <= _BLANK * np.median(ranges)
    return [subjects[row].id for row in np.flatnonzero(blank).tolist()]


def unusual_problems(blank: Sequence[str], unusual: Sequence[Outlier]) -> list[Problem]:
    """A line for blank scans and one for outliers, each scan by its farthest figure."""
    worst: dict[str, Outlier] = {}
    for outlier in unusual:
        worst.setdefault(outlier.scan, outlier)
    shown = [f"{o.scan} ({o.figure} {number(o.value)}, usually {number(o.median)})" for o in worst.values()]
    problems = [Problem("warning", f"nearly blank images ({len(blank):,}): {first_few(blank)}")] if blank else []
    if shown:
        problems.append(Problem("warning", f"outliers ({len(shown):,}): {first_few(shown, '; ')}"))
    return problems


def _figures(subjects: Sequence[StoredSubject], found: Survey) -> Iterator[tuple[str, Values, float]]:
    """Figures of all scans [n], and what is a large change in each."""
    for name, sources in by_image(subjects).items():
        of = f" of {name}" if name else ""
        low, high = np.array([one.minimum for one in sources]), np.array([one.maximum for one in sources])
        usual_range = float(np.median(high - low))
        yield f"raw minimum{of}", low, usual_range
        yield f"raw maximum{of}", high, usual_range
        yield f"raw mean{of}", np.array([one.mean for one in sources]), usual_range
    labels = np.array([scan.label for scan in subjects], dtype=np.float64)  # None becomes nan
    usual_sd = float(np.median(found.sd))
    yield "stored mean", found.mean, usual_sd
    yield "stored sd", found.sd, usual_sd
    yield "share of zeros", found.zeros, 1.0
    known = np.where(np.isnan(labels), np.nanmedian(labels), labels)
    yield "label", known, float(np.subtract(*np.nanquantile(labels, [0.95, 0.05])))
