"""Optuna's side of a sweep: where studies are kept, and the study of one sweep."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.settings import Settings
from contrasweep.services.spec.methods import POINT, Start
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.objectives import OBJECTIVES


def open_storage(settings: Settings) -> optuna.storages.BaseStorage:
    """The storage of the settings. Raises UserError where it cannot be opened."""
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.get_storage(settings.optuna_storage)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise UserError(f"CONTRASWEEP_OPTUNA_STORAGE: the storage cannot be opened: {one_line(error)}") from error


def open_study(
    sweep_id: str,
    storage: optuna.storages.BaseStorage,
    first: Sequence[Start],
    objectives: Sequence[str],
) -> optuna.Study:
    """The sweep's study, of `objectives` as they are measured; where it is new, those of `first` are first in line."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = directions_of(objectives)
    study = optuna.create_study(study_name=sweep_id, storage=storage, directions=directions, load_if_exists=True)
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([OBJECTIVES[name].heading for name in objectives])
    waiting = study.get_trials(deepcopy=False)
    if all(trial.state == optuna.trial.TrialState.WAITING for trial in waiting):
        for start in first[len(waiting) :]:
            study.enqueue_trial(start.values, {POINT: start.point} if start.point else None)
    return study


def directions_of(objectives: Sequence[str]) -> list[StudyDirection]:
    """Where each objective is better, as it is measured."""
    higher = (OBJECTIVES[name].higher for name in objectives)
    return [StudyDirection.MAXIMIZE if more else StudyDirection.MINIMIZE for more in higher]


def line_up(study: optuna.Study, starts: Sequence[Start]) -> None:
    """Put `starts`, without names, next in line, but for those that have been."""
    for start in starts:
        study.enqueue_trial(start.values, skip_if_exists=True)
