"""One driver's run of a sweep in a cluster: track, search, finish."""

import logging
import shutil
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import ray
from optuna.storages import BaseStorage
from ray import tune
from rich.console import Console

from contrasweep.services.cluster.places import Allotment
from contrasweep.services.data.open import OpenFeed, Reads
from contrasweep.services.data.prepare import Prepared, versions_of
from contrasweep.services.data.weights import InitialWeights
from contrasweep.services.records.folder import STOPPED, SweepFolder, SweepState
from contrasweep.services.records.leaderboard import told
from contrasweep.services.records.looks import Looks
from contrasweep.services.records.trial_record import TrialRecord, begun_trials, read_records, trial_folder
from contrasweep.services.screen.progress import meter
from contrasweep.services.screen.tables import print_final, print_leaderboard
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.screen.words import cut_words
from contrasweep.services.settings import Settings
from contrasweep.services.spec import methods
from contrasweep.services.spec.spec import Options, SweepSpec
from contrasweep.services.stores.optuna import line_up, open_study
from contrasweep.services.sweep.finalize import finalize
from contrasweep.services.sweep.learned import learn
from contrasweep.services.sweep.monitor import Monitor
from contrasweep.services.sweep.putting_back import put_back
from contrasweep.services.sweep.racing import Referee, Rule
from contrasweep.services.sweep.reuse import seed_runs
from contrasweep.services.sweep.searcher import SweepSearcher
from contrasweep.services.sweep.signals import interruption
from contrasweep.services.sweep.spaces import Spaces
from contrasweep.services.sweep.stages import Source
from contrasweep.services.sweep.supervisor import Supervisor
from contrasweep.services.sweep.tracked import Tracked
from contrasweep.services.sweep.trial import TrialSetup, run_trial
from contrasweep.trainers.errors import Damaged, UserError
from contrasweep.trainers.mending import begin_anew

MAX_TRIAL_RESTARTS = 2
WITHOUT_END = 10**6
log = logging.getLogger("contrasweep.sweep")
STOPPING = "stopping after the epochs under way; Ctrl-C again ends it at once"


class Drive:
    """One driver's run of a sweep."""

    def __init__(
        self,
        spec: SweepSpec,
        settings: Settings,
        storage: BaseStorage,
        folder: SweepFolder,
        console: Console,
        feeds: Mapping[Reads, OpenFeed],
        prepared: Mapping[Options, Prepared],
        start: InitialWeights | None,
    ) -> None:
        self._spec, self._study_storage, self._folder, self._console = spec, storage, folder, console
        self._feeds, self._prepared, self._start = feeds, prepared, start
        first = next(iter(prepared.values()))
        self._plan = spec.plan_over(first.folds)
        self._plan_of = partial(spec.plan_of, folds=first.folds)
        self._settings, self._storage = settings, Path(settings.storage_path) / folder.sweep_id
        self._tracked = Tracked(spec, settings, folder, console, prepared, start)
        self._tracker, self._page = self._tracked.tracker, self._tracked.page
        self._looks = Looks(settings, versions_of(prepared), first.first.splits.test)

    def tracking(self, state: SweepState) -> AbstractContextManager[None]:
        """See `Tracked.tracking`."""
        return self._tracked.tracking(state)

    def search(self, allotment: Allotment, state: SweepState) -> None:
        """Search until it is over, the budget is spent, or somebody or storage has it stop; the state says which."""
        referee = ray.remote(Referee).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        judge = referee.remote(self._rule(), self._plan, self._spec.search.parallel, self._storage)
        start, own = self._start, self._folder.sweep_id if self._spec.search.fresh else ""
        runs = seed_runs(self._spec, self._settings, self._prepared, start.digest if start else None, own)
        sources = {reads: Source(open_feed, runs[reads]) for reads, open_feed in self._feeds.items()}
        setup = TrialSetup(self._spec, self._plan, self._storage, sources, judge, start.path if start else None)
        with meter(self._console, "sweeping") as shown, interruption(self._say_stopping) as interrupted:
            search = self._spec.search
            monitor = Monitor(search, self._plan, self._plan_of, self._storage, self._tracker, shown)
            searcher = self._searcher(monitor)
            supervisor = Supervisor(self._folder, self._spec.budget.hours, state, interrupted, judge, searcher, monitor)
            with self._page.kept_up_to_date(), supervisor.supervising():
                self._tune(allotment, setup, searcher)
        self._console.print(f"sweeping  {monitor.summary()}", markup=False, highlight=False)
        if supervisor.stopped:
            state.state, state.reason, self._tracked.ended = STOPPED, supervisor.reason, "stopped"
        elif supervisor.is_spent and (left := searcher.unfinished()):
            self._cut(state, left)
        else:
            state.unfinished = 0
            searcher.settle()
        if searcher.aborted:
            raise self._hopeless(searcher.aborted)

    def finishes(self, state: SweepState) -> bool:
        """Evaluate the best configuration on the test split, once; register it; print.

        False where weights are damaged or gone: their run is then to be trained anew, and the search goes on with it.
        """
        ranked = told(read_records(self._storage, self._plan))
        print_leaderboard(self._console, ranked, len(self._plan.replicates))
        try:
            with waiting(self._console, "evaluating the best configuration on the test split"):
                report = finalize(
                    self._spec,
                    self._folder.final,
                    self._storage,
                    self._prepared,
                    self._tracker,
                    self._looks,
                    len(state.phases),
                )
        except (Damaged, FileNotFoundError) as error:
            self._begin_anew(error)
            return False
        state.test_mae = report.metrics["mae"].value
        print_final(self._console, self._spec.data.unit_or_label, report.told())
        if state.reason:
            self._print(state.reason)
        self._tracked.ended = "complete"
        for leftover in (".tune", ".train"):
            shutil.rmtree(self._storage / leftover, ignore_errors=True)
        return True

    def _begin_anew(self, error: Damaged | FileNotFoundError) -> None:
        """Have the run trained anew whose weights could not be read. Raises `error` where they are no run's."""
        path = error.path if isinstance(error, Damaged) else Path(error.filename or "")
        if self._storage not in path.parents or path.suffix != ".pt":
            raise error
        log.warning("%s; its seed is trained anew", error)
        begin_anew(path.parent)

    def _cut(self, state: SweepState, unfinished: int) -> None:
        """The budget is spent with so many configurations unfinished: what is best by now is evaluated, if anything."""
        whole = [r for r in read_records(self._storage, self._plan) if r.whole and not (r.failure or r.infeasible)]
        state.unfinished = unfinished
        state.reason = cut_words(self._folder.sweep_id, self._spec, unfinished, evaluated=bool(whole))
        if not whole:
            state.state, self._tracked.ended = STOPPED, "stopped"
            self._print(state.reason)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _say_stopping(self) -> None:
        self._console.print(STOPPING)

    def _hopeless(self, record: TrialRecord) -> Exception:
        said = f"every configuration failed, the first with {record.failure}"
        if record.failed_by_itself:
            return UserError(said)
        return RuntimeError(f"{said}; see {trial_folder(self._storage, record.number) / 'error.txt'}")

    def _rule(self) -> Rule | None:
        racing = self._spec.search.racing
        if racing is None:
            return None
        return Rule(self._plan, racing.rungs, racing.confidence)

    def _searcher(self, monitor: Monitor) -> SweepSearcher:
        search, label_ranges = self._spec.search, {o: one.label_range for o, one in self._prepared.items()}
        starts = methods.starts(self._spec, label_ranges)
        study = open_study(self._folder.sweep_id, self._study_storage, starts[: search.trials], search.objective)
        begun = begun_trials(self._storage)
        study = put_back(study, self._study_storage, begun, starts[: search.trials], search.objective)
        line_up(study, [start for start in starts if start.method in Spaces.of(study, search.spaces).added])
        return SweepSearcher(
            study,
            lambda trial, spaces: methods.draw(trial, self._spec.searching(spaces=spaces), label_ranges),
            search,
            self._plan,
            self._plan_of,
            self._storage,
            monitor,
            learn(self._spec, self._settings, self._storage),
        )

    def _tune(self, allotment: Allotment, setup: TrialSetup, searcher: SweepSearcher) -> None:
        # Nobody restores the snapshots that Tune complains of where it cannot write them.
        logging.getLogger("ray.tune.execution.experiment_state").setLevel(logging.CRITICAL)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(run_trial, setup=setup), allotment.trial),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=WITHOUT_END,
                max_concurrent_trials=allotment.concurrent,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=uuid.uuid4().hex,
                storage_path=str(self._storage / ".tune"),
                failure_config=tune.FailureConfig(max_failures=MAX_TRIAL_RESTARTS),
                verbose=0,
            ),
        )
        tuner.fit()
