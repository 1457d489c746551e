"""How a sweep stands by what its configurations left: the figures of its state, and the leaderboard's rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from search_spaces import Value
from services.records.answers import Trial
from services.records.trial_record import FAILED, Record, leaderboard
from services.spec.spec import SweepSpec
from trainers.history import COMPLETE, PRUNED


@dataclass(frozen=True)
class Standing:
    """What a sweep has come to.

    Attributes:
        ended: configurations that are complete, pruned or failed.
        seed_runs: seeds that ran whole.
        saved: seeds that racing saved.
        best: least mean validation MAE over all seeds, in the label's unit; None before there is any.
    """

    ended: int
    seed_runs: int
    saved: int
    best: float | None


def standing(spec: SweepSpec, records: Sequence[Record]) -> Standing:
    """The standing of a sweep whose configurations left `records`."""
    seeds, epochs = spec.search.seeds, spec.judged_epochs
    states = [record.state(seeds, epochs) for record in records]
    pruned = [record for record, state in zip(records, states, strict=True) if state == PRUNED]
    first = best(spec, records)
    return Standing(
        ended=sum(state in (COMPLETE, PRUNED, FAILED) for state in states),
        seed_runs=sum(len(record.values(epochs)) for record in records),
        saved=sum(len(seeds) - len(record.values(epochs)) for record in pruned),
        best=finite(first.objective(epochs)) if first else None,
    )


def best(spec: SweepSpec, records: Sequence[Record]) -> Record | None:
    """The best configuration that ran all its seeds."""
    epochs = spec.judged_epochs
    whole = [record for record in records if record.state(spec.search.seeds, epochs) == COMPLETE]
    return leaderboard(whole, epochs)[0] if whole else None


def trials(spec: SweepSpec, records: Sequence[Record]) -> list[Trial]:
    """Every configuration as it is told, the best first."""
    return [_trial(spec, record) for record in leaderboard(list(records), spec.judged_epochs)]


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None


def _trial(spec: SweepSpec, record: Record) -> Trial:
    epochs = spec.judged_epochs
    state = record.state(spec.search.seeds, epochs)
    values = record.values(epochs)
    before = spec.seed_epochs - epochs
    return Trial(
        number=record.number,
        method=record.configuration.method,
        state=cast(Literal["complete", "pruned", "failed", "running"], state),
        reason="" if state == COMPLETE else record.reason(),
        objective=finite(record.objective(epochs)),
        sd=finite(record.deviation(epochs)) if values else None,
        seeds=values,
        epochs={seed: before + len(history.epochs) for seed, history in record.histories.items()},
        params={name: _told(value) for name, value in _values(record).items()},
    )


def _values(record: Record) -> dict[str, Value]:
    return record.configuration.params | record.configuration.training


def _told(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
