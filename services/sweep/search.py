"""One search of a session with the cluster: from prepared data to the final figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optuna.storages import BaseStorage
from rich.console import Console

from contrasweep.services.cluster.places import Allotment
from contrasweep.services.data.open import open_data
from contrasweep.services.data.prepare import Prepared, versions_of, with_refit
from contrasweep.services.data.resumed import check_training, check_volumes
from contrasweep.services.data.weights import InitialWeights
from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder, SweepState
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.sweep.drive import Drive
from contrasweep.services.sweep.mending import mend


@dataclass(frozen=True)
class Session:
    """What all searches of a driver have in common; `start` are the weights that training starts from."""

    settings: Settings
    storage: BaseStorage
    console: Console
    allotment: Allotment
    start: InitialWeights | None


def search(
    session: Session, loaded: LoadedSpec, folder: SweepFolder, state: SweepState, prepared: Mapping[Options, Prepared]
) -> SweepState:
    """Search and evaluate, or go on with it; the state, which is returned, says how it ended.

    Raises UserError where the data are not those that it began on, and as `Drive` does.
    """
    console, settings = session.console, session.settings
    with waiting(console, "opening the data"):
        if loaded.spec.search.refit:
            data = {options: spec.data for options, spec in loaded.spec.readings.items()}
            prepared = {options: with_refit(one, data[options]) for options, one in prepared.items()}
        feeds = open_data(loaded, settings, prepared)
        state.folds = next(iter(prepared.values())).folds
        state.volumes = check_volumes(folder.sweep_id, state.volumes, versions_of(prepared))
        views = [view.splits for one in prepared.values() for view in one.views.values()]
        state.training = check_training(views, folder.sweep_id, state.training)
    mend(folder, Path(settings.storage_path) / folder.sweep_id)
    drive = Drive(loaded.spec, settings, session.storage, folder, console, feeds, prepared, session.start)
    with drive.tracking(state):
        drive.search(session.allotment, state)
        while state.state != STOPPED and not drive.finishes(state):
            drive.search(session.allotment, state)
        if state.state != STOPPED:
            state.state = FINISHED
    return state
