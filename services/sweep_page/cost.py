"""What a sweep has cost, and what stopping configurations early saved."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.sweep_page.content import Content
from contrasweep.trainers.history import PRUNED


@dataclass(frozen=True)
class Cost:
    """Whole seed runs, epochs and hours of training; the hours of epochs that never ran are estimated."""

    runs: int
    epochs: int
    hours: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.runs + other.runs, self.epochs + other.epochs, self.hours + other.hours)


NOTHING = Cost(0, 0, 0.0)


def spent(content: Content) -> Cost:
    """What has been trained."""
    return sum((_spent(content, record) for record in content.records), NOTHING)


def saved(content: Content) -> Cost:
    """What pruned configurations did not train, at the mean time of the epochs that each of them did."""
    return sum((saved_by(content, record) for record in content.records), NOTHING)


def saved_by(content: Content, record: TrialRecord) -> Cost:
    """What one configuration did not train because it was pruned."""
    if record.state != PRUNED:
        return NOTHING
    own, plan = _spent(content, record), plan_of(content, record)
    epochs = plan.epochs - own.epochs
    return Cost(len(plan.replicates) - own.runs, epochs, epochs * own.hours / own.epochs if own.epochs else 0.0)


def plan_of(content: Content, record: TrialRecord) -> SeedPlan:
    """What a configuration would have run, with all seeds of the sweep."""
    return replace(record.plan, seeds=content.plan.seeds)


def _spent(content: Content, record: TrialRecord) -> Cost:
    rows = [row for run in record.histories for row in content.rows[record.number, run]]
    return Cost(len(record.ended), len(rows), _seconds([row.get("epoch_s") for row in rows]) / 3600)


def _seconds(epochs: Sequence[float | None]) -> float:
    """Their sum, where an epoch that was not timed counts as the mean of the others."""
    timed = [epoch_s for epoch_s in epochs if epoch_s is not None]
    return fmean(timed) * len(epochs) if timed else 0.0
