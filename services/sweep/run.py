"""A sweep from its spec to the final figure: prepare, search, finalize."""

import logging
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console
from upath import UPath

from contrasweep.services.cluster.connect import cluster
from contrasweep.services.cluster.places import allot, local_node
from contrasweep.services.data.resumed import check_sides
from contrasweep.services.data.validate import check_table
from contrasweep.services.data.weights import check_all_weights, find_weights, keep_weights
from contrasweep.services.records.answers import asked_by
from contrasweep.services.records.folder import SweepFolder, SweepState, recognised
from contrasweep.services.records.logs import driver_log
from contrasweep.services.screen.preparation import prepare_data
from contrasweep.services.screen.tables import print_page
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.services.spec.checks import check_image_shapes, check_spec
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.stores.optuna import open_storage
from contrasweep.services.sweep.learned import recall
from contrasweep.services.sweep.signals import termination
from contrasweep.services.sweep.tracking_store import with_usable_store

log = logging.getLogger("contrasweep.sweep")


def run_sweep(
    loaded: LoadedSpec, settings: Settings, console: Console, *, user: str = "", attempt: int | None = None
) -> SweepState:
    """Run a sweep to its end, or on from where it was interrupted; a finished one is left as it is.

    `user` and `attempt` are for the sweep's state: see `SweepFolder.driving`.
    Returns the state it ended in: finished, or stopped where somebody asked for that or storage has it wait, which is
    its reason.
    Raises UserError for whatever is wrong with the spec, the table or the machine, before there is a sweep;
    from the preparing of the data on, the sweep is `failed` and its state has the reason.
    Raises KeyboardInterrupt where it is interrupted, or asked to stop, while it prepares.
    """
    loaded = recognised(loaded, settings)
    check_spec(loaded, settings.data_roots)
    folder = SweepFolder(settings.sweeps / loaded.sweep_id)
    if folder.has_done(loaded):
        return folder.read_state()
    recall(loaded.spec, settings, Path(settings.storage_path) / folder.sweep_id)
    if settings.ray_address == "local":
        allot(loaded.spec, [local_node()])
    with ExitStack() as opened:
        with waiting(console, "looking at the table, the stores and the weights"):
            subjects = check_table(loaded, settings.data_roots)
            storage = open_storage(settings)
            settings, said = with_usable_store(settings)
            weights = opened.enter_context(find_weights(loaded, settings))
        if said:
            console.print(said, soft_wrap=True, markup=False)
        nodes = opened.enter_context(cluster(settings, partial(waiting, console)))
        with waiting(console, "loading"):
            # Ray's environment is set by now.
            from contrasweep.services.cluster.autoscaling import grow, grows
            from contrasweep.services.sweep.extension import extend
            from contrasweep.services.sweep.nested import search_outer_folds
            from contrasweep.services.sweep.search import Session, search
        if not grows():
            allot(loaded.spec, nodes)
        folder = SweepFolder.create(settings, loaded)
        with termination(), folder.driving(user, attempt) as state, driver_log(folder.log, console):
            if said:
                log.info(said)
            nodes = grow(loaded.spec, console, lambda: folder.is_asked_to_stop(state.attempt))
            allotment = allot(loaded.spec, nodes)
            state.take(asked_by(loaded.spec))
            state.gpus = allotment.concurrent * loaded.spec.training.workers * loaded.spec.training.gpus_per_worker
            folder.write_state(state)
            check_sides(loaded.spec.data, subjects, UPath(settings.volumes), state.volumes)
            prepared = prepare_data(loaded, settings, console, lambda: folder.is_asked_to_stop(state.attempt))
            shapes, start = {options: one.store.image_shape for options, one in prepared.items()}, None
            check_image_shapes(loaded, shapes)
            if weights:
                summary = check_all_weights(loaded, weights, shapes, console)
                start = keep_weights(weights, summary, Path(settings.storage_path) / folder.sweep_id)
            # Only now: a space that these data do not go with could not be taken away again.
            extend(folder, state, loaded, storage, Path(settings.storage_path) / folder.sweep_id)
            session = Session(settings, storage, console, allotment, start)
            outer = next(iter(prepared.values())).outer
            (search_outer_folds if outer else search)(session, loaded, folder, state, prepared)
            print_page(console, settings.reports / f"{folder.sweep_id}.html")
        if state.reason and not state.unfinished:  # which the search has said
            console.print(state.reason, markup=False, soft_wrap=True)
    return state
