"""Optuna's side of a sweep: where studies are kept, and the study of one sweep."""

from collections.abc import Iterable, Mapping

import optuna
from sqlalchemy.exc import SQLAlchemyError

from search_spaces import Value
from services.settings import Settings
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
    sweep_id: str, storage: optuna.storages.BaseStorage, first: Iterable[Mapping[str, Value]]
) -> optuna.Study:
    """The sweep's study; where it is new, the points `first` are the first in line."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=sweep_id, storage=storage, load_if_exists=True)
    if all(trial.state == optuna.trial.TrialState.WAITING for trial in study.get_trials(deepcopy=False)):
        for point in first:
            study.enqueue_trial(dict(point), skip_if_exists=True)
    return study
