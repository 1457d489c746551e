"""One driver's run of a sweep in a cluster: track, search, finish."""

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import ray
from optuna.storages import BaseStorage
from ray import tune
from rich.console import Console

from services.cluster.places import Allotment
from services.data.open import OpenFeed
from services.data.prepare import Prepared
from services.data.weights import InitialWeights
from services.records.code import code_digest
from services.records.drivers import add_driver
from services.records.folder import STOPPED, SweepFolder, SweepState
from services.records.leaderboard import told
from services.records.looks import Looks
from services.records.trial_record import TrialRecord, read_records, trial_folder
from services.screen.progress import meter
from services.screen.tables import print_final, print_leaderboard
from services.screen.waiting import waiting
from services.settings import Settings
from services.spec import methods
from services.spec.replicate import Fold
from services.spec.spec import SweepSpec
from services.stores.mlflow import RunState
from services.stores.optuna import open_study
from services.stores.tracker import Tracker
from services.sweep.finalize import finalize
from services.sweep.monitor import Monitor
from services.sweep.page_writer import PageWriter
from services.sweep.racing import Referee, Rule
from services.sweep.reuse import seed_runs
from services.sweep.searcher import SweepSearcher
from services.sweep.signals import interruption
from services.sweep.supervisor import Supervisor
from services.sweep.trial import Source, TrialSetup, run_trial
from trainers.errors import UserError

MAX_TRIAL_RESTARTS = 2
WITHOUT_END = 10**6
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
        feeds: Mapping[Fold, OpenFeed],
        prepared: Prepared,
        start: InitialWeights | None,
    ) -> None:
        self._spec, self._study_storage, self._folder, self._console = spec, storage, folder, console
        self._feeds, self._prepared, self._start = feeds, prepared, start
        self._plan = spec.plan_over(prepared.folds)
        self._settings, self._storage = settings, Path(settings.storage_path) / folder.sweep_id
        self._tracker = Tracker(settings.tracking_uri, None, spec.name, folder.sweep_id)
        self._page = PageWriter(settings, folder, self._tracker)
        self._looks = Looks(settings, prepared.store.manifest.version, prepared.first.splits.test)
        self._ended: RunState = "failed"

    @contextmanager
    def tracking(self, state: SweepState) -> Iterator[None]:
        """Track for as long as the block; however it ends, no run stays open and MLflow is waited for.

        Where it does not answer, the sweep is not finished: `resume` has only the rest to deliver.
        """
        digests = {"volumes": self._prepared.store.manifest.version, "code": code_digest()}
        params = {"contrasweep": version("contrasweep")}
        digests |= {f"external_{name}": of.store.manifest.version for name, of in self._prepared.external.items()}
        if self._start:
            digests["init_from"], params["init_from"] = self._start.digest, self._start.summary
        self._tracker.start(self._spec.to_yaml(), params, digests, state.user)
        add_driver(self._folder, state, digests)
        try:
            yield
        except BaseException as error:
            state.end_with(error)
            raise
        finally:
            with waiting(self._console, "writing the report, waiting for MLflow"):
                self._page.write(state)
                undelivered = self._tracker.finish(self._ended)
            if undelivered:
                state.state = STOPPED
                state.reason = f"{undelivered} updates did not reach MLflow; the next `resume` delivers them"
                self._console.print(state.reason)

    def search(self, allotment: Allotment, state: SweepState) -> None:
        """Search until it is over, the budget is spent, or somebody asks to stop; the state says which."""
        referee = ray.remote(Referee).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        judge = referee.remote(self._rule(), self._plan, self._spec.search.parallel, self._storage)
        start = self._start
        runs = seed_runs(self._spec, self._settings, self._prepared, start.digest if start else None)
        sources = {fold: Source(open_feed, runs[fold]) for fold, open_feed in self._feeds.items()}
        setup = TrialSetup(self._spec, self._plan, self._storage, sources, judge, start.path if start else None)
        with meter(self._console, "sweeping") as shown, interruption(self._say_stopping) as interrupted:
            monitor = Monitor(self._spec.search.trials, self._plan, self._storage, self._tracker, shown)
            searcher = self._searcher(monitor)
            supervisor = Supervisor(self._folder, self._spec.budget.hours, state, interrupted, judge, searcher, monitor)
            with self._page.kept_up_to_date(), supervisor.supervising():
                self._tune(allotment, setup, searcher)
        self._console.print(f"sweeping  {monitor.summary()}", markup=False, highlight=False)
        if supervisor.stopped:
            state.state, self._ended = STOPPED, "stopped"
        else:
            searcher.settle()
        if searcher.aborted:
            raise self._hopeless(searcher.aborted)

    def finish(self, state: SweepState) -> None:
        """Evaluate the best configuration on the test split, once; register it; print."""
        ranked = told(read_records(self._storage, self._plan))
        print_leaderboard(self._console, ranked, len(self._plan.replicates))
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
        state.test_mae = report.metrics["mae"].value
        print_final(self._console, self._spec.data.label, report.told())
        self._ended = "complete"
        for leftover in (".tune", ".train"):
            shutil.rmtree(self._storage / leftover, ignore_errors=True)

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
        search, label_range = self._spec.search, max(open_feed().label_range for open_feed in self._feeds.values())
        first = methods.starts(self._spec, label_range)[: search.trials]
        study = open_study(self._folder.sweep_id, self._study_storage, first)
        return SweepSearcher(
            study,
            lambda trial: methods.draw(trial, self._spec, label_range),
            search,
            self._plan,
            self._storage,
            monitor,
        )

    def _tune(self, allotment: Allotment, setup: TrialSetup, searcher: SweepSearcher) -> None:
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
