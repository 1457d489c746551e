"""The leaderboard: configurations by rank, the best of them, and what they come to together."""

from collections.abc import Iterable
from math import fsum, inf, sqrt
from statistics import NormalDist, fmean

from services.records.answers import Counts, Trial
from services.records.trial_record import FAILED, TrialRecord, finite
from trainers.history import COMPLETE, PRUNED

_STUDENT = (6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946, 1.8595, 1.8331, 1.8125)


def leaderboard(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """As they are judged, best first: those with fresh seeds, by the number of whole runs, then by objective.

    Failed ones come last.
    """
    judged = [record.as_judged() for record in records]
    return sorted(judged, key=lambda r: (bool(r.failure), not r.is_fresh, -len(r.whole), r.objective))


def best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The best configuration that made all its runs."""
    return next((record for record in leaderboard(records) if record.state == COMPLETE), None)


def tied(records: Iterable[TrialRecord]) -> frozenset[int]:
    """Numbers of the complete configurations that cannot be told from the best, and the best's.

    A configuration can be told from it where the mean of its paired differences to the best - of the same seed and
    fold - is above the one-sided 95 % bound of Student's t, with the variance of all configurations' differences
    pooled. By one run alone none can be told from any other. The best is chosen, and so a little lucky: more are
    tied than are named. Where finalists are judged on fresh seeds, the others were behind them in the race.
    """
    whole = [record for record in leaderboard(records) if record.state == COMPLETE]
    whole = [record for record in whole if record.is_fresh == whole[0].is_fresh]
    if not whole or not whole[0].values:
        return frozenset()
    first = whole[0].values
    pairs = {r.number: [r.values[run] - first[run] for run in r.values if run in first] for r in whole[1:]}
    freedom = sum(len(found) - 1 for found in pairs.values() if found)
    squares = fsum((difference - fmean(found)) ** 2 for found in pairs.values() for difference in found)
    bound = student_95(freedom) * sqrt(squares / freedom) if freedom else inf
    apart = {number for number, found in pairs.items() if found and fmean(found) * sqrt(len(found)) > bound}
    return frozenset(record.number for record in whole) - apart


def student_95(freedom: int) -> float:
    """The 95 % quantile of Student's t: tabulated, and from 11 degrees on Cornish and Fisher's expansion.

    Listing configurations shall not wait for scipy.
    """
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z = NormalDist().inv_cdf(0.95)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def told(records: Iterable[TrialRecord]) -> list[Trial]:
    """What the verbs answer of configurations, the best first."""
    ranked = leaderboard(records)
    best_ones = tied(ranked)
    return [record.told().model_copy(update={"tied": record.number in best_ones}) for record in ranked]


def counts(records: Iterable[TrialRecord]) -> Counts:
    """What a sweep has come to whose configurations left `records`."""
    known = list(records)
    judged = [record.as_judged() for record in known]
    pruned = [record for record in judged if record.state == PRUNED]
    first = best(known)
    return Counts(
        ended=sum(record.state in (COMPLETE, PRUNED, FAILED) for record in judged),
        seed_runs=sum(len(record.ended) for record in known),
        saved=sum(len(record.plan.replicates) - len(record.whole) for record in pruned),
        taken=sum(bool(history.taken) for record in known for history in record.histories.values()),
        best=finite(first.objective) if first else None,
    )
