"""Rows that are tuned, each the best configuration of its method by validation; and rows that cannot be told apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from contrasweep.services.records.leaderboard import leaderboard
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.studies.evidence import Lazily, point_name
from contrasweep.services.studies.study import StudyConfig
from contrasweep.trainers.analyses import Evidence


def rows_of(study: StudyConfig, spec: SweepSpec, records: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    """The configuration of each row that is trained and is in the sweep: its point, or the first of its method on the
    leaderboard.
    """
    if study.tuned is None:
        return {point_name(spec, record): record for record in records}
    first: dict[str, TrialRecord] = {}
    for record in leaderboard(records):
        first.setdefault(record.configuration.method, record)
    return {row.name: first[row.method] for row in study.trained if row.method in first}


def under(rows: Mapping[str, str], evidence: Evidence) -> Evidence:
    """The evidence of some configurations alone, under the names of `rows`, which are by the configurations' own."""
    found = [point for point in rows if point in evidence.points]
    new = {
        reading: reading._replace(point=rows[reading.point])
        for reading in (*evidence.predictions, *evidence.embeddings)
        if reading.point in rows
    }
    return replace(
        evidence,
        points={rows[point]: evidence.points[point] for point in found},
        values={rows[point]: evidence.values[point] for point in found},
        predictions={new[reading]: said for reading, said in evidence.predictions.items() if reading in new},
        embeddings=Lazily(
            {new[one]: partial(evidence.embeddings.__getitem__, one) for one in evidence.embeddings if one in new}
        ),
    )


def tied(ranked: Sequence[str], apart: Mapping[frozenset[str], bool]) -> tuple[str, ...]:
    """Of rows, the best first, the first and those that are not `apart` from it; none where not all were compared.

    >>> tied(["a", "b", "c"], {frozenset("ab"): False, frozenset("ac"): True, frozenset("bc"): False})
    ('a', 'b')
    """
    pairs = [frozenset(pair) for pair in combinations(ranked, 2)]
    if not pairs or not all(pair in apart for pair in pairs):
        return ()
    best = ranked[0]
    return best, *(name for name in ranked[1:] if not apart[frozenset((best, name))])
