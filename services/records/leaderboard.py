"""The leaderboard: configurations by rank, the best of them, and what they come to together."""

from collections.abc import Iterable
from math import fsum, inf, sqrt
from statistics import NormalDist, fmean

from contrasweep.services.records.answers import Counts, Trial
from contrasweep.services.records.trial_record import FAILED, TrialRecord, finite
from contrasweep.trainers.history import COMPLETE, PRUNED

_STUDENT = (6.3138, 2.9200, 2.3534, 2.1318, 2.0150, 1.9432, 1.8946, 1.8595, 1.8331, 1.8125)


def leaderboard(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """As they are told, best first: those with fresh seeds, by the number of whole runs, by Pareto front where there
    are several objectives, then by the first.

    Infeasible ones come after them, and failed ones are last. The winner is ranked by the seeds that it won by.
    """
    told = [record.as_reported() for record in records]
    front = fronts(told)

    def rank(record: TrialRecord) -> tuple[float, ...]:
        judged, lost = record.as_judged(), (bool(record.failure), bool(record.infeasible), not record.is_fresh)
        return *lost, -len(judged.whole), front.get(record.number, inf if front else 0), judged.objective

    return sorted(told, key=rank)


def fronts(records: Iterable[TrialRecord]) -> dict[int, int]:
    """The Pareto front of each feasible complete configuration by its number, where they have several objectives.

    On the first nobody is beaten: no other is as good in every objective and better in one. On the second nobody is,
    once those of the first are left out, and so on.
    """
    left = {record.number: record.ranked for record in records if len(record.plan.objectives) > 1 and competes(record)}
    found: dict[int, int] = {}
    while left:
        unbeaten = [n for n, own in left.items() if not any(_beats(other, own) for other in left.values())]
        found |= dict.fromkeys(unbeaten, max(found.values(), default=0) + 1)
        left = {number: own for number, own in left.items() if number not in found}
    return found


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The best configuration that made all its runs and breaks no bound."""
    return next(filter(competes, leaderboard(records)), None)


def competes(record: TrialRecord) -> bool:
    """Whether a configuration may win: it made all its runs and breaks no bound."""
    return record.state == COMPLETE and not record.infeasible


def tied(records: Iterable[TrialRecord]) -> frozenset[int]:
    """Numbers of the configurations that compete and cannot be told from the best, and the best's.

    A configuration can be told from it where the mean of its paired differences to the best - of the same seed and
    fold - is above the one-sided 95 % bound of Student's t, with the variance of all configurations' differences
    pooled. By one run alone none can be told from any other. The best is chosen, and so a little lucky: more are
    tied than are named. Where finalists are judged on fresh seeds, the others were behind them in the race.
    """
    whole = [record.as_judged() for record in leaderboard(records) if competes(record)]
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
    best_ones, front = tied(ranked), fronts(ranked)
    return [
        record.told().model_copy(update={"tied": record.number in best_ones, "front": front.get(record.number)})
        for record in ranked
    ]


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
        best=finite(first.score) if first else None,
    )
