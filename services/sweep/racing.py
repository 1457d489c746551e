"""The referee: a configuration goes on only while it can still beat the best, paired by seed, fold and epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist, fmean
from typing import NamedTuple

from scipy.stats import t as student

from contrasweep.services.records.trial_record import broken, costs_of, read_record
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.text import count, number
from contrasweep.trainers.history import EpochMetrics, History, Verdict

PRIOR_PAIRS = 2.0
PRIOR_SPREAD = 0.1
"""What is assumed before anything was seen, as if of PRIOR_PAIRS differences: 10 % of the best."""


@dataclass(frozen=True)
class Racer:
    """A configuration in its race: what its runs came to, of how many epochs a whole one is, and which it is to make.

    One that raced before seeds were added was to make fewer.
    """

    histories: Mapping[Replicate, History]
    epochs: int
    replicates: tuple[Replicate, ...]

    def has_ended(self, run: Replicate) -> bool:
        """Whether a run is whole."""
        return run in self.histories and len(self.histories[run].epochs) >= self.epochs

    @property
    def is_whole(self) -> bool:
        """Whether all its runs are."""
        return all(map(self.has_ended, self.replicates))

    def until(self, run: Replicate) -> "Racer":
        """As it was when it made a run: without those after it, which are there where that one is made again."""
        made = self.replicates[: self.replicates.index(run) + 1]
        return replace(self, histories={one: history for one, history in self.histories.items() if one in made})

    def infeasible(self, plan: SeedPlan) -> str:
        """Which bounds it breaks, as far as is known."""
        return broken(costs_of(self.histories.values(), plan.bounds), plan.bounds)


@dataclass(frozen=True)
class Rule:
    """When to stop a configuration.

    One that is in truth as good as the best is stopped with a probability of at most 1 - `confidence`, in all the looks
    that are taken at it together: each look has its part of that (Bonferroni), and the best is taken to be as lucky as
    the first of so many equals is.

    Attributes:
        plan: which seeds a whole configuration runs, and on how many folds.
        rungs: numbers of epochs after which a run is judged, besides its end.
        confidence: that one as good as the best is not stopped.
    """

    plan: SeedPlan
    rungs: tuple[int, ...]
    confidence: float

    def hopeless(self, own: Racer, others: Sequence[Racer]) -> str:
        """Why a configuration cannot beat the best of `others` any more, or ever; empty while it can.

        Its differences to the best, of the same seed and fold, have a Student bound whose variance is that of all such
        pairs among `others`, shrunk to a prior of 10 % of the best, or of what differences to it are in proportion to
        (with three seeds a rank test could never stop anything). All are ranked: less is better.
        """
        whole = [other for other in others if other.is_whole]
        if own.is_whole or not self._is_judged(own):
            return ""
        if over := own.infeasible(self.plan):
            return f"infeasible: {over}"
        if not whole:
            return ""
        best = min(whole, key=self._objective)
        rivals = [other for other in others if other is not best]
        differences = self._differences(own, best)
        if not differences:
            return ""
        spread, freedom = self._spread([list(self._ended(rival, best).values()) for rival in rivals], best)
        lag = 0.0 if self._ended(own, best) else self._lag_variance(own, rivals, best)
        quantile = float(student.ppf(1 - (1 - self.confidence) / self._looks, freedom))
        margin = self._luck(len(whole), spread) + quantile * math.sqrt(spread**2 / len(differences) + lag)
        mean = fmean(differences)
        if mean <= margin:
            return ""
        paired = count(len(differences), "paired run" if self.plan.folds else "paired seed")
        return f"{number(mean)} behind the best over {paired}; {number(margin)} would still be open"

    @property
    def _looks(self) -> int:
        """How often a configuration is judged before it is whole, at most."""
        return max(1, len(self.plan.replicates) * (len(self.rungs) + 1) - 1)

    def _luck(self, equals: int, spread: float) -> float:
        """By how much the first of `equals` configurations that are equal in truth is better than it should be.

        That is the expected least of so many normal means (Blom 1958), whose differences have the standard deviation
        `spread` for each run.
        """
        least = NormalDist().inv_cdf((equals - 0.375) / (equals + 0.25))
        return least * spread / math.sqrt(2 * len(self.plan.replicates))

    def _is_judged(self, own: Racer) -> bool:
        last = len(own.histories[max(own.histories, key=self.plan.replicates.index)].epochs)
        return last in self.rungs or last == own.epochs

    def _objective(self, racer: Racer) -> float:
        return fmean(racer.histories[run].best for run in racer.replicates)

    def _differences(self, own: Racer, best: Racer) -> list[float]:
        """To the best, of each run: at its end, or as the run under way lets expect it.

        By how much it caught up from the same epoch of its earlier runs on is taken off: who starts slowly does so in
        every run.
        """
        ended = self._ended(own, best)
        differences = list(ended.values())
        for run, history in own.histories.items():
            if run in best.histories and not own.has_ended(run):
                reached = len(history.epochs)
                caught_up = [self._lag(own, best, earlier, reached) for earlier in ended]
                differences.append(history.best - best.histories[run].best_until(reached) - fmean(caught_up or [0.0]))
        return list(filter(math.isfinite, differences))

    def _ended(self, own: Racer, best: Racer) -> dict[Replicate, float]:
        """The differences to the best at the ends of runs, where both have a figure."""
        ended = (run for run in own.histories if run in best.histories and own.has_ended(run))
        found = {run: own.histories[run].best - best.histories[run].best for run in ended}
        return {run: difference for run, difference in found.items() if math.isfinite(difference)}

    def _lag(self, own: Racer, best: Racer, run: Replicate, reached: int) -> float:
        """How much further behind a run was after so many epochs than at its end."""
        late, early = own.histories[run], best.histories[run]
        lag = late.best_until(reached) - early.best_until(reached) - (late.best - early.best)
        return lag if math.isfinite(lag) else 0.0

    def _lag_variance(self, own: Racer, rivals: Sequence[Racer], best: Racer) -> float:
        """How differences so early differ from those at the end: a mean square over all runs that ended."""
        reached = len(next(iter(own.histories.values())).epochs)
        lags = [self._lag(rival, best, run, reached) for rival in rivals for run in self._ended(rival, best)]
        return (self._prior(best) + math.fsum(lag**2 for lag in lags)) / (PRIOR_PAIRS + len(lags))

    def _spread(self, seen: list[list[float]], best: Racer) -> tuple[float, float]:
        squares = [(difference - fmean(pairs)) ** 2 for pairs in seen for difference in pairs]
        freedom = PRIOR_PAIRS + sum(len(pairs) - 1 for pairs in seen if pairs)
        return math.sqrt((self._prior(best) + math.fsum(squares)) / freedom), freedom

    def _prior(self, best: Racer) -> float:
        objective = self.plan.objective
        return PRIOR_PAIRS * (PRIOR_SPREAD * objective.scale(objective.turned(self._objective(best)))) ** 2


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
        self._ended: dict[int, Racer] = {}
        self._running: dict[int, Racer] = {}
        self._events: list[Event] = []
        self._pausing, self._hindrance = False, ""

    def judge(self, number: int, replicate: Replicate, row: EpochMetrics, race: bool) -> tuple[Verdict, str]:
        """The verdict on a configuration after an epoch of one of its runs, and the reason."""
        verdict = self.hear(number, replicate, row)
        if number not in self._running:
            self._running[number] = self._read(number)
        own = self._running[number]
        fresh = History(replicate.seed, last=self._plan.last, objective=self._plan.objectives[0])
        history = own.histories.get(replicate, fresh)
        history.epochs = [*history.epochs[: int(row["epoch"])], row]
        own = replace(own, histories={**own.histories, replicate: history})
        self._running[number] = own
        reason = self._reason(number, own.until(replicate)) if race else ""
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

    def hold_up(self, hindrance: str) -> None:
        """Pause every run for what storage does not let a run do; see `services.records.hindrances`."""
        self._hindrance = self._hindrance or hindrance
        self.pause()

    def hindrance(self) -> str:
        """What every run pauses for; empty where nothing keeps them."""
        return self._hindrance

    def _reason(self, number: int, own: Racer) -> str:
        if self._rule is None:
            return ""
        rivals = range(number - self._parallel + 1)
        self._ended |= {rival: self._read_rival(rival) for rival in rivals if rival not in self._ended}
        return self._rule.hopeless(own, [self._ended[rival] for rival in rivals])

    def _read(self, number: int) -> Racer:
        """What a configuration left; nothing where it failed, as it is nobody's rival then."""
        record = read_record(self._sweep, number, self._plan)
        raced = record.as_raced() if record else None
        if raced is None or raced.failure:
            return Racer({}, self._plan.judged_epochs, self._plan.replicates)
        return Racer(raced.histories, raced.plan.judged_epochs, raced.plan.replicates)

    def _read_rival(self, number: int) -> Racer:
        """The same; nothing where it breaks a bound, either."""
        racer = self._read(number)
        return replace(racer, histories={}) if racer.infeasible(self._plan) else racer
