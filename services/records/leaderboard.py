"""The leaderboard: configurations by rank, the best of them, and what they come to together."""

from collections.abc import Iterable

from services.records.answers import Counts
from services.records.trial_record import FAILED, TrialRecord, finite
from trainers.history import COMPLETE, PRUNED


def leaderboard(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Best first: by the number of whole seeds, then by objective; failed ones last."""
    return sorted(records, key=lambda record: (bool(record.failure), -len(record.values), record.objective))


def best(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The best configuration that ran all its seeds."""
    return next(iter(leaderboard(record for record in records if record.state == COMPLETE)), None)


def counts(records: Iterable[TrialRecord]) -> Counts:
    """What a sweep has come to whose configurations left `records`."""
    known = list(records)
    pruned = [record for record in known if record.state == PRUNED]
    first = best(known)
    return Counts(
        ended=sum(record.state in (COMPLETE, PRUNED, FAILED) for record in known),
        seed_runs=sum(len(record.values) for record in known),
        saved=sum(len(record.plan.seeds) - len(record.values) for record in pruned),
        taken=sum(bool(history.taken) for record in known for history in record.histories.values()),
        best=finite(first.objective) if first else None,
    )
