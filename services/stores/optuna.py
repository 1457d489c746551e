"""Optuna's side of a sweep: where studies are kept, and the study of one sweep."""

import optuna
from sqlalchemy.exc import SQLAlchemyError

import search_spaces
from services.settings import Settings
from services.spec.spec import SweepSpec
from services.text import one_line
from trainers.errors import UserError


def open_storage(settings: Settings) -> optuna.storages.BaseStorage:
    """The storage of the settings. Raises UserError where it cannot be opened."""
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.get_storage(settings.optuna_storage)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise UserError(f"CONTRASWEEP_OPTUNA_STORAGE: the storage cannot be opened: {one_line(error)}") from error


def open_study(
    sweep_id: str, spec: SweepSpec, storage: optuna.storages.BaseStorage, context: search_spaces.Context
) -> optuna.Study:
    """The sweep's study, with the published point of each method first in line where it is new."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=sweep_id, storage=storage, load_if_exists=True)
    search = spec.search
    if all(trial.state == optuna.trial.TrialState.WAITING for trial in study.get_trials(deepcopy=False)):
        for space in search.spaces[: search.trials]:
            choice = {"method": space} if len(search.spaces) > 1 else {}
            training = spec.training.model_dump()
            point = search_spaces.published(space, context, search.override, search.fix, training)
            study.enqueue_trial(choice | point, skip_if_exists=True)
    return study
