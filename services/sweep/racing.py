"""The referee: a configuration goes on only while it can still beat the best, paired by seed, fold and epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from scipy.stats import t as student

from services.records.trial_record import read_record
from services.spec.replicate import Replicate
from services.spec.spec import SeedPlan
from services.text import count, number
from trainers.history import EpochMetrics, History, Verdict

Histories = Mapping[Replicate, History]
PRIOR_PAIRS = 2.0
PRIOR_SPREAD = 0.1


@dataclass(frozen=True)
class Rule:
    """When to stop a configuration.

    Attributes:
        plan: what a whole configuration runs.
        rungs: numbers of epochs after which a run is judged, besides its end.
        confidence: of the one-sided bound.
    """

    plan: SeedPlan
    rungs: tuple[int, ...]
    confidence: float

    def hopeless(self, own: Histories, others: Sequence[Histories]) -> str:
        """Why a configuration cannot beat the best of `others` any more; empty while it can.

        The paired differences to the best - same seed and fold, same epoch - have a Student bound whose variance
        is shrunk to that of all pairs among `others` and a prior of 10 % of the best (with three seeds a
        rank test could never stop anything).
        """
        whole = [other for other in others if self._is_whole(other)]
        if not whole or self._is_whole(own) or not self._is_judged(own):
            return ""
        best = min(whole, key=self._objective)
        differences = self._pairs(own, best)
        if not differences:
            return ""
        spread, freedom = self._spread([self._pairs(other, best) for other in others if other is not best], best)
        mean = fmean(differences)
        if self._leads(own, best):
            return ""
        margin = float(student.ppf(self.confidence, freedom)) * spread / math.sqrt(len(differences))
        if mean <= margin:
            return ""
        paired = count(len(differences), "paired run" if self.plan.folds else "paired seed")
        return f"{number(mean)} behind the best over {paired}; {number(margin)} would still be open"

    def _leads(self, own: Histories, best: Histories) -> bool:
        """Whether it is in the middle of a run, and better than the best over those that it has ended.

        Who starts slowly is behind early in every run, and ends ahead.
        """
        ended = {run: history for run, history in own.items() if len(history.epochs) >= self.plan.judged_epochs}
        pairs = self._pairs(ended, best)
        return len(ended) < len(own) and bool(pairs) and fmean(pairs) < 0

    def _is_whole(self, histories: Histories) -> bool:
        return all(
            run in histories and len(histories[run].epochs) >= self.plan.judged_epochs for run in self.plan.replicates
        )

    def _is_judged(self, own: Histories) -> bool:
        last = len(own[max(own, key=self.plan.replicates.index)].epochs)
        return last in self.rungs or last == self.plan.judged_epochs

    def _objective(self, histories: Histories) -> float:
        return fmean(histories[run].best for run in self.plan.replicates)

    def _pairs(self, own: Histories, best: Histories) -> list[float]:
        evaluated = [run for run in self.plan.replicates if run in own and math.isfinite(own[run].best)]
        return [own[run].best - best[run].best_until(len(own[run].epochs)) for run in evaluated]

    def _spread(self, seen: list[list[float]], best: Histories) -> tuple[float, float]:
        squares = [(difference - fmean(pairs)) ** 2 for pairs in seen for difference in pairs]
        freedom = PRIOR_PAIRS + sum(len(pairs) - 1 for pairs in seen if pairs)
        prior = PRIOR_PAIRS * (PRIOR_SPREAD * self._objective(best)) ** 2
        return math.sqrt((prior + math.fsum(squares)) / freedom), freedom


class Event(NamedTuple):
    """One epoch of one run, on its way to the progress bar and the tracking store."""

    number: int
    replicate: Replicate
    row: EpochMetrics


class Referee:
    """Hears every epoch of every run and says go, prune or pause. Runs as a Ray actor of the driver.

    Configuration n is judged against configurations up to n - `parallel` only, all of which had ended
    before it was sampled: the verdict depends neither on timing nor on the machine. What happened is read from
    the storage path, so that nothing is lost when the actor is started again, or the sweep resumed.
    """

    def __init__(self, rule: Rule | None, plan: SeedPlan, parallel: int, sweep: Path) -> None:
        self._rule, self._plan, self._parallel, self._sweep = rule, plan, parallel, sweep
        self._ended: dict[int, Histories] = {}
        self._running: dict[int, dict[Replicate, History]] = {}
        self._events: list[Event] = []
        self._pausing = False

    def judge(self, number: int, replicate: Replicate, row: EpochMetrics, race: bool) -> tuple[Verdict, str]:
        """The verdict on a configuration after an epoch of one of its runs, and the reason."""
        verdict = self.hear(number, replicate, row)
        if number not in self._running:
            self._running[number] = dict(self._read(number))
        history = self._running[number].setdefault(replicate, History(replicate.seed, last=self._plan.last))
        history.epochs = [*history.epochs[: int(row["epoch"])], row]
        reason = self._reason(number) if race else ""
        if reason:
            return Verdict.PRUNE, reason
        return verdict, ""

    def hear(self, number: int, replicate: Replicate, row: EpochMetrics) -> Verdict:
        """Hear of an epoch that is not judged: pause where all do."""
        self._events.append(Event(number, replicate, row))
        return Verdict.PAUSE if self._pausing else Verdict.GO

    def is_pausing(self) -> bool:
        """Whether every run pauses after its epoch."""
        return self._pausing

    def drain(self) -> list[Event]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def pause(self) -> None:
        """From now on every run pauses after its epoch."""
        self._pausing = True

    def _reason(self, number: int) -> str:
        if self._rule is None:
            return ""
        rivals = range(number - self._parallel + 1)
        self._ended |= {rival: self._read(rival) for rival in rivals if rival not in self._ended}
        return self._rule.hopeless(self._running[number], [self._ended[rival] for rival in rivals])

    def _read(self, number: int) -> Histories:
        """What a configuration left; nothing where it failed, as it is nobody's rival then."""
        record = read_record(self._sweep, number, self._plan)
        return {} if record is None or record.failure else record.as_raced().histories
