"""A sweep from its spec to the final figure: prepare, search, finalize."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import ray
from optuna.storages import BaseStorage
from ray import tune
from rich.console import Console

from services.cluster.autoscaling import grow, grows
from services.cluster.connect import cluster
from services.cluster.places import Allotment, allot, local_node
from services.data.open import open_data
from services.data.prepare import Prepared
from services.data.validate import check_table
from services.data.weights import InitialWeights, check_weights, find_weights, keep_weights
from services.records.answers import asked_by
from services.records.code import code_digest
from services.records.drivers import add_driver
from services.records.folder import FINISHED, STOPPED, SweepFolder, SweepState
from services.records.leaderboard import leaderboard
from services.records.logs import driver_log
from services.records.trial_record import TrialRecord, read_records, trial_folder
from services.screen.preparation import prepare_data
from services.screen.progress import meter
from services.screen.tables import print_final, print_leaderboard, print_page
from services.settings import Settings
from services.spec import methods
from services.spec.checks import check_spec
from services.spec.spec import LoadedSpec, SweepSpec
from services.stores.mlflow import RunState
from services.stores.optuna import open_storage, open_study
from services.stores.tracker import Tracker
from services.sweep.finalize import finalize
from services.sweep.monitor import Monitor
from services.sweep.page_writer import PageWriter
from services.sweep.racing import Referee, Rule
from services.sweep.searcher import SweepSearcher
from services.sweep.signals import interruption, termination
from services.sweep.supervisor import Supervisor
from services.sweep.trial import TrialSetup, run_trial
from trainers.data.feeds import Feed
from trainers.errors import UserError

MAX_TRIAL_RESTARTS = 2
WITHOUT_END = 10**6


def run_sweep(
    loaded: LoadedSpec, settings: Settings, console: Console, *, user: str = "", attempt: int | None = None
) -> SweepState:
    """Run a sweep to its end, or on from where it was interrupted; a finished one is left as it is.

    `user` and `attempt` are for the sweep's state: see `SweepFolder.driving`.
    Returns the state it ended in: finished, or stopped where somebody asked for that.
    Raises UserError for whatever is wrong with the spec, the table or the machine, before there is a sweep;
    from the preparing of the data on, the sweep is `failed` and its state has the reason.
    Raises KeyboardInterrupt where it is interrupted, or asked to stop, while it prepares.
    """
    check_spec(loaded, settings.data_roots)
    folder = SweepFolder(settings.sweeps / loaded.sweep_id)
    if folder.read_state().state == FINISHED:
        return folder.read_state()
    if settings.ray_address == "local":
        allot(loaded.spec, [local_node()])
    check_table(loaded, settings.data_roots)
    storage = open_storage(settings)
    with find_weights(loaded, settings) as weights, cluster(settings) as nodes:
        if not grows():
            allot(loaded.spec, nodes)
        folder = SweepFolder.create(settings, loaded)
        with termination(), folder.driving(user, attempt) as state, driver_log(folder.log, console):
            nodes = grow(loaded.spec, console, lambda: folder.is_asked_to_stop(state.attempt))
            allotment = allot(loaded.spec, nodes)
            state.take(asked_by(loaded.spec))
            state.gpus = allotment.concurrent * loaded.spec.training.workers * loaded.spec.training.gpus_per_worker
            folder.write_state(state)
            prepared = prepare_data(loaded, settings, console, lambda: folder.is_asked_to_stop(state.attempt))
            make_feed = open_data(loaded, settings, prepared)
            summary = check_weights(loaded, weights, prepared.store.image_shape, console) if weights else ""
            _check_volumes(folder, state, prepared.store.manifest.version)
            start = keep_weights(weights, summary, Path(settings.storage_path) / folder.sweep_id) if weights else None
            drive = Drive(loaded.spec, settings, storage, folder, console, make_feed, prepared, start)
            with drive.tracking(state):
                drive.search(allotment, state)
                if state.state != STOPPED:
                    drive.finish(state)
                    state.state = FINISHED
            print_page(console, settings.reports / f"{folder.sweep_id}.html")
    return state


def _check_volumes(folder: SweepFolder, state: SweepState, version: str) -> None:
    if state.volumes not in ("", version):
        raise UserError(
            f"sweep {folder.sweep_id} began on volumes {state.volumes[:12]}, but the data, or how this version keeps "
            f"them, have changed and make {version[:12]} now; restore them, or give the spec another name"
        )
    state.volumes = version


class Drive:
    """One driver's run of a sweep."""

    def __init__(
        self,
        spec: SweepSpec,
        settings: Settings,
        storage: BaseStorage,
        folder: SweepFolder,
        console: Console,
        make_feed: Callable[[], Feed],
        prepared: Prepared,
        start: InitialWeights | None,
    ) -> None:
        self._spec, self._study_storage, self._folder, self._console = spec, storage, folder, console
        self._make_feed, self._prepared, self._start = make_feed, prepared, start
        self._storage = Path(settings.storage_path) / folder.sweep_id
        self._tracker = Tracker(settings.tracking_uri, None, spec.name, folder.sweep_id)
        self._page = PageWriter(settings, folder, self._tracker)
        self._ended: RunState = "failed"

    @contextmanager
    def tracking(self, state: SweepState) -> Iterator[None]:
        """Track for as long as the block; however it ends, no run stays open and MLflow is waited for.

        Where it does not answer, the sweep is not finished: `resume` has only the rest to deliver.
        """
        digests = {"volumes": self._prepared.store.manifest.version, "code": code_digest()}
        params = {"contrasweep": version("contrasweep")}
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
            self._page.write(state)
            undelivered = self._tracker.finish(self._ended)
            if undelivered:
                state.state = STOPPED
                state.reason = f"{undelivered} updates did not reach MLflow; the next `resume` delivers them"
                self._console.print(state.reason)

    def search(self, allotment: Allotment, state: SweepState) -> None:
        """Search until it is over, the budget is spent, or somebody asks to stop; the state says which."""
        referee = ray.remote(Referee).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        judge = referee.remote(self._rule(), self._spec.plan, self._spec.search.parallel, self._storage)
        setup = TrialSetup(self._spec, self._storage, judge, self._make_feed, self._start.path if self._start else None)
        with meter(self._console, "sweeping") as shown, interruption() as interrupted:
            monitor = Monitor(self._spec, self._storage, self._tracker, shown)
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
        ranked = leaderboard(read_records(self._storage, self._spec.plan))
        print_leaderboard(self._console, [record.told() for record in ranked], len(self._spec.search.seeds))
        report = finalize(self._spec, self._folder.final, self._storage, self._prepared, self._tracker)
        state.test_mae = report.metrics["mae"].value
        print_final(self._console, self._spec.data.label, report.told())
        self._ended = "complete"
        for leftover in (".tune", ".train"):
            shutil.rmtree(self._storage / leftover, ignore_errors=True)

    def _hopeless(self, record: TrialRecord) -> Exception:
        said = f"every configuration failed, the first with {record.failure}"
        if record.failed_by_itself:
            return UserError(said)
        return RuntimeError(f"{said}; see {trial_folder(self._storage, record.number) / 'error.txt'}")

    def _rule(self) -> Rule | None:
        racing = self._spec.search.racing
        if racing is None:
            return None
        return Rule(self._spec.plan, racing.rungs, racing.confidence)

    def _searcher(self, monitor: Monitor) -> SweepSearcher:
        search, context = self._spec.search, self._spec.context(self._make_feed().label_range)
        first = methods.starts(search, context, self._spec.training.model_dump())[: search.trials]
        study = open_study(self._folder.sweep_id, self._study_storage, first)
        return SweepSearcher(
            study,
            lambda trial: methods.draw(trial, search, context),
            search,
            self._spec.plan,
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
