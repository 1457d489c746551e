"""A sweep from its spec to the final figure: prepare, search, finalize."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console
from upath import UPath

from services.cluster.connect import cluster
from services.cluster.places import allot, local_node
from services.data.resumed import check_sides, check_training
from services.data.validate import check_table
from services.data.weights import check_weights, find_weights, keep_weights
from services.records.answers import asked_by
from services.records.folder import FINISHED, STOPPED, SweepFolder, SweepState, recognised
from services.records.logs import driver_log
from services.screen.preparation import prepare_data
from services.screen.tables import print_page
from services.screen.waiting import waiting
from services.settings import Settings
from services.spec.checks import check_spec
from services.spec.spec import LoadedSpec
from services.stores.optuna import open_storage
from services.sweep.signals import termination
from trainers.errors import UserError


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
    loaded = recognised(loaded, settings)
    check_spec(loaded, settings.data_roots)
    folder = SweepFolder(settings.sweeps / loaded.sweep_id)
    if folder.has_done(loaded):
        return folder.read_state()
    if settings.ray_address == "local":
        allot(loaded.spec, [local_node()])
    with ExitStack() as opened:
        with waiting(console, "looking at the table, the stores and the weights"):
            subjects = check_table(loaded, settings.data_roots)
            storage = open_storage(settings)
            weights = opened.enter_context(find_weights(loaded, settings))
        nodes = opened.enter_context(cluster(settings, partial(waiting, console)))
        with waiting(console, "loading"):
            # Ray's environment is set by now.
            from services.cluster.autoscaling import grow, grows
            from services.data.open import open_data
            from services.data.prepare import with_refit
            from services.sweep.drive import Drive
            from services.sweep.extension import extend
        if not grows():
            allot(loaded.spec, nodes)
        folder = SweepFolder.create(settings, loaded)
        with termination(), folder.driving(user, attempt) as state, driver_log(folder.log, console):
            extend(folder, state, loaded, storage, Path(settings.storage_path) / folder.sweep_id)
            nodes = grow(loaded.spec, console, lambda: folder.is_asked_to_stop(state.attempt))
            allotment = allot(loaded.spec, nodes)
            state.take(asked_by(loaded.spec))
            state.gpus = allotment.concurrent * loaded.spec.training.workers * loaded.spec.training.gpus_per_worker
            folder.write_state(state)
            check_sides(loaded.spec.data, subjects, UPath(settings.volumes), state.volumes)
            prepared = prepare_data(loaded, settings, console, lambda: folder.is_asked_to_stop(state.attempt))
            with waiting(console, "opening the data"):
                if loaded.spec.search.refit:
                    prepared = with_refit(prepared, loaded.spec.data)
                feeds = open_data(loaded, settings, prepared)
                summary = check_weights(loaded, weights, prepared.store.image_shape, console) if weights else ""
                state.folds = prepared.folds
                _check_volumes(folder, state, prepared.store.manifest.version)
                state.training = check_training(
                    [view.splits for view in prepared.views.values()], folder.sweep_id, state.training
                )
                keep = Path(settings.storage_path) / folder.sweep_id
                start = keep_weights(weights, summary, keep) if weights else None
            drive = Drive(loaded.spec, settings, storage, folder, console, feeds, prepared, start)
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
