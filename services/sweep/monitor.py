"""What the driver sees of a running sweep, and passes on to the tracking store and the progress meter."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.answers import Counts
from contrasweep.services.records.leaderboard import best, counts
from contrasweep.services.records.trial_record import FAILED, TrialRecord, read_record, read_records
from contrasweep.services.screen.progress import Meter
from contrasweep.services.screen.tables import leaderboard_text
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import SearchConfig, SeedPlan
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.delivery import end_trial
from contrasweep.services.sweep.racing import Event
from contrasweep.services.text import count, number
from contrasweep.trainers.history import PRUNED, RUNNING, is_of_start

log = logging.getLogger("contrasweep.sweep")


class Monitor:
    """Listens to the searcher, in the driver's thread, and to the referee's events, in the supervisor's."""

    def __init__(
        self,
        search: SearchConfig,
        plan: SeedPlan,
        plan_of: Callable[[Configuration], SeedPlan],
        sweep: Path,
        tracker: Tracker,
        meter: Meter,
    ) -> None:
        self._trials, self._finals = search.trials, search.judged_fresh
        self._plan, self._sweep, self._tracker, self._meter = plan, sweep, tracker, meter
        self._plan_of = plan_of
        self._lock = threading.RLock()
        self._records = {record.number: record for record in read_records(sweep, self._plan)}
        self._plans = {record.number: plan_of(record.configuration) for record in self._records.values()}
        self._live: dict[tuple[int, Replicate], int] = {}
        for record in self._records.values():
            self._catch_up(record)

    def trial_started(self, number: int, configuration: Configuration) -> None:
        """A configuration starts or goes on."""
        with self._lock:
            self._plans[number] = self._plan_of(configuration)
        log.info("trial %d begins: %s", number, configuration.method)
        self._tracker.trial_started(number, configuration.method, configuration.values)

    def follow(self, events: Iterable[Event]) -> None:
        """Epochs that the referee heard of."""
        with self._lock:
            for event in events:
                self._tracker.epoch(event.number, event.replicate, event.row)
                if is_of_start(event.row):  # its epochs count where it is a configuration of its own
                    continue
                before = self._own(event.number).earlier_epochs if "loss" in event.row else 0
                self._live[event.number, event.replicate] = before + int(event.row["epoch"]) + 1
            self._show()

    def trial_ended(self, number: int, state: str) -> None:
        """A configuration ended, or paused."""
        record = read_record(self._sweep, number, self._plan)
        assert record
        with self._lock:
            self._records[number] = record
            self._catch_up(record)
            end_trial(self._tracker, record)
            first = self.best()
            if first:
                self._tracker.best((first.number, first.score))
            self._tracker.leaderboard(leaderboard_text(list(self._records.values()), len(self._plan.replicates)))
            self._show()
        log.info("trial %d %s", number, " · ".join(self._words(record, state)))

    def best(self) -> TrialRecord | None:
        """The best configuration that made all its runs."""
        return best(self._records.values())

    def counts(self) -> Counts:
        """What the sweep has come to; runs count as soon as their last epoch is heard of."""
        with self._lock:
            live = ((number, length) for (number, run), length in self._live.items() if run.fold != REFIT)
            runs = sum(length >= self._own(number).seed_epochs for number, length in live)
            return counts(self._records.values()).model_copy(update={"seed_runs": runs})

    def summary(self) -> str:
        """`6/6 trials · 15 seed runs · 3 saved by pruning · best 4.810`."""
        now = self.counts()
        words = [f"{now.ended}/{max(self._trials, now.ended)} trials", count(now.seed_runs, "seed run")]
        words += [f"{now.saved} saved by pruning"] if now.saved else []
        words += [f"{now.taken} taken from other runs"] if now.taken else []
        words += [f"best {number(now.best)}"] if now.best is not None else []
        return " · ".join(words)

    def _words(self, record: TrialRecord, state: str) -> list[str]:
        values = record.values
        words = ["paused" if state == RUNNING else state]
        runs = count(len(values), "run" if self._plan.folds else "seed")
        words += [f"{number(record.score)} over {runs}"] if values else []
        words += [record.reason] if state in (PRUNED, FAILED) else []
        return [*words, self.summary()]

    def _show(self) -> None:
        begun = {number: plan.epochs for number, plan in self._plans.items()}
        over = {n for n, r in self._records.items() if r.state in (PRUNED, FAILED)}
        done = sum(length for (number, _), length in self._live.items() if number not in over)
        done += sum(self._own(number).epochs for number in over)
        each = fmean(begun.values()) if begun else self._plan.epochs
        total = max(round(sum(begun.values()) + (self._trials - len(begun) + self._finals) * each), done)
        self._meter.update(done, total, self.summary(), "epochs")

    def _catch_up(self, record: TrialRecord) -> None:
        for run, history in record.histories.items():
            self._tracker.history(record.number, run, history.epochs)
            self._live[record.number, run] = record.plan.earlier_epochs + len(history.epochs)

    def _own(self, number: int) -> SeedPlan:
        """What a configuration is to run."""
        return self._plans.get(number, self._plan)
