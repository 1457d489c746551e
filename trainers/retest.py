"""Test-retest reliability: how far predictions of one person's sessions agree."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.resampling import subject_bootstrap

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Retest:
    """How reliable a value is.

    Attributes:
        icc: ICC(2,1), 1 for sessions that agree to the digit; nan where no value differs from another.
        within_sd: standard deviation of a person's value over sessions, in the value's unit; nan where none is told.
        subjects, scans: how many these are of, without people of one session.
    """

    icc: Interval
    within_sd: Interval
    subjects: int
    scans: int


def retest(
    values: ArrayLike,
    subjects: Sequence[Hashable],
    sessions: Sequence[Hashable],
    repeats: int = 2000,
    seed: int = 0,
) -> Retest:
    """ICC(2,1) of `values` [N], one for each scan, with its 95 % subject bootstrap.

    ICC(2,1) of Shrout and Fleiss 1979, ICC(A,1) of McGraw and Wong 1996: of single scans, for absolute agreement, with
    people and sessions random: var(people) / (var(people) + var(sessions) + var(rest)). That a later session is read
    higher in everyone counts against it, as it does for a person who is scanned twice; ICC(3,1) would forgive it.

    `subjects` [N] and `sessions` [N] say whose scan it is, and which (first, second ...: a name that means the same for
    everyone; names that are a person's own, as a scan's id is, count in their order); a person has a session once.
    People of one session are left out, others may lack some: the variances are those of Henderson's method 3 (1953),
    which for complete tables are the mean squares of both papers. They may come out below 0, as there.

    An ICC is relative to how much people differ: predicted ages of a cohort of all ages have a high one whatever the
    gap's is. So give it gaps as well, and tell `within_sd` beside it.

    Raises UserError where fewer than two people have two sessions.
    """
    said = np.asarray(values, np.float64)
    kept = _several(subjects)
    people = [subjects[row] for row in kept]
    if len(set(people)) < 2:
        raise UserError(f"a retest needs two people with two sessions or more; {len(set(people))} of these have them")
    whose, when = _places(people), _places(_shared([sessions[row] for row in kept], people))
    table = np.full((whose.max() + 1, when.max() + 1), np.nan)
    table[whose, when] = said[kept]
    assert np.isfinite(table).sum() == len(kept), "a person has a session once, and its value is finite"

    def icc(drawn: NDArray[np.int64]) -> float:
        people, sessions, rest = _variances(table[drawn])
        total = people + sessions + rest
        return people / total if total > 0 else np.nan

    def within_sd(drawn: NDArray[np.int64]) -> float:
        _, sessions, rest = _variances(table[drawn])
        return float(np.sqrt(sessions + rest)) if sessions + rest >= 0 else np.nan

    return Retest(
        icc=subject_bootstrap(icc, range(len(table)), repeats, seed),
        within_sd=subject_bootstrap(within_sd, range(len(table)), repeats, seed),
        subjects=len(table),
        scans=len(kept),
    )


def _places(names: Sequence[Hashable]) -> NDArray[np.int64]:
    """Each name's place among the different ones [n]."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([places[name] for name in names])


def _shared(sessions: Sequence[Hashable], people: Sequence[Hashable]) -> Sequence[Hashable]:
    """The names, or, where there are far more than anyone has, which of the person's own in their order each is."""
    if len({*sessions}) <= 2 * max(Counter(people).values()):
        return sessions
    own = {
        person: sorted(str(s) for s, of in zip(sessions, people, strict=True) if of == person) for person in {*people}
    }
    return [own[person].index(str(session)) for session, person in zip(sessions, people, strict=True)]


def _several(subjects: Sequence[Hashable]) -> list[int]:
    """Rows of those who have several."""
    seen = Counter(subjects)
    return [row for row, subject in enumerate(subjects) if seen[subject] > 1]


def _variances(table: FloatArray) -> tuple[float, float, float]:
    """Variances of people, of sessions and of the rest, of a table [people, sessions] with nan where there is no scan.

    Sums of squares of a factor are what it explains beside the other one, and each is set equal to its expectation. nan
    where too few sessions are shared to tell them apart.
    """
    there = np.isfinite(table)
    table, there = table[:, there.any(0)], there[:, there.any(0)]
    n, (people, sessions) = int(there.sum()), table.shape
    x = np.where(there, table - table[there].mean(), 0.0)
    by_person, by_session = there.sum(1), there.sum(0)
    own = x.sum(1) / by_person
    left = np.where(there, x - own[:, None], 0.0)
    # What sessions explain of what people leave: a design [N, sessions] centred by person, in its normal equations.
    design = np.diag(by_session) - (there.T / by_person) @ there
    explained = left.sum(0) @ np.linalg.pinv(design, hermitian=True) @ left.sum(0)
    rank = int(np.linalg.matrix_rank(design, hermitian=True))
    rest_squares = float((left**2).sum() - explained)
    people_squares = float((x**2).sum() - (x.sum(0) ** 2 / by_session).sum()) - rest_squares
    if n == people + rank or n == sessions:
        return np.nan, np.nan, np.nan
    rest = rest_squares / (n - people - rank)
    return (
        (people_squares - (people - sessions + rank) * rest) / (n - sessions),
        float(explained - rank * rest) / (n - people),
        rest,
    )
