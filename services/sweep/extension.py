"""What a sweep keeps of how far it went, before it goes further."""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.trial_record import keep_seeds
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.searcher import FINALISTS, PHASES
from contrasweep.services.sweep.spaces import add_spaces


def extend(
    folder: SweepFolder, state: SweepState, loaded: LoadedSpec, study_storage: BaseStorage, storage: Path
) -> None:
    """Bring the folder up to `loaded`; where that goes further, state and study keep how far the sweep went.

    Where the budget ended it and is larger now, only the state does, and only if something was evaluated by then: the
    end is then evaluated again. Whatever ends it in between, the same call does the rest. `storage` is the sweep's
    folder of checkpoints.
    """
    before = folder.kept() or loaded.spec
    beyond, longer = loaded.spec.goes_beyond(before), state.unfinished and loaded.spec.extent.outlasts(before.extent)
    if beyond or longer:
        if (beyond or folder.final.exists()) and before.extent not in state.phases[-1:]:
            state.phases = (*state.phases, before.extent)
        state.unfinished = 0
    if beyond:
        keep_seeds(storage, before.plan)
        if folder.sweep_id in optuna.get_all_study_names(study_storage):
            study = optuna.load_study(study_name=folder.sweep_id, storage=study_storage)
            add_spaces(study, before.search.spaces, loaded.spec.search.spaces)
            _keep_phases(study, state)
    if beyond or longer:
        folder.write_state(state)
    folder.keep(loaded)


def _keep_phases(study: optuna.Study, state: SweepState) -> None:
    """Write the phases into the study, and have finalists chosen anew."""
    study.set_user_attr(PHASES, [phase.model_dump(mode="json") for phase in state.phases])
    study.set_user_attr(FINALISTS, None)
