"""Optuna's side of a sweep: where studies are kept, and the study of one sweep."""

import os
import random
import re
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext

import optuna
import sqlalchemy
from optuna.study import StudyDirection
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from contrasweep.services.locks import holding, patience
from contrasweep.services.settings import Settings
from contrasweep.services.spec.methods import POINT, Start
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.objectives import OBJECTIVES

_LOCKED_S, _MORE = 60.0, 8
_MADE_MEANWHILE = re.compile(r"already exists|UNIQUE constraint|[Dd]uplicate|unique constraint|database is locked")
"""What SQLite, PostgreSQL and MySQL say where two processes make the same tables."""


def open_storage(settings: Settings) -> optuna.storages.BaseStorage:
    """The storage of the settings. Raises UserError where it cannot be opened.

    One process at a time makes its tables.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    writable = os.access(settings.home, os.W_OK)
    try:
        with holding(settings.home / "tables.lock", patience(_LOCKED_S)) if writable else nullcontext():
            return _opened(settings.optuna_storage)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise UserError(f"CONTRASWEEP_OPTUNA_STORAGE: the storage cannot be opened: {one_line(error)}") from error


def _opened(address: str) -> optuna.storages.BaseStorage:
    """Also where another home makes the tables of the same database at this moment, which Optuna takes for an error."""
    for _ in range(_MORE):
        try:
            return optuna.storages.get_storage(_patient(address))
        except (OperationalError, ProgrammingError, IntegrityError) as error:
            if not _MADE_MEANWHILE.search(str(error)):
                raise
        time.sleep(random.uniform(0.2, 1.0))
    return optuna.storages.get_storage(_patient(address))


def _patient(address: str) -> str:
    """The address, where it is of SQLite with the time to wait for whoever has locked the file."""
    if not address.startswith("sqlite"):
        return address
    url = sqlalchemy.make_url(address)
    url = url.set(query={"timeout": str(_LOCKED_S), **url.query})
    return url.render_as_string(hide_password=False)


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
