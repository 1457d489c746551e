"""Puts back into Optuna's study the trials of a sweep that it has lost: a row of a database, or all of it."""

import logging
from collections.abc import Collection, Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from contrasweep.services.spec.methods import POINT, Start
from contrasweep.services.stores.optuna import open_study

PUT_BACK = "put back"
"""Attribute of a trial that was; what was drawn for it is drawn again as the sweep goes on."""
log = logging.getLogger("contrasweep.sweep")


def put_back(
    study: optuna.Study,
    storage: BaseStorage,
    begun: Collection[int],
    starts: Sequence[Start],
    objectives: Sequence[str],
) -> optuna.Study:
    """The study with a trial for each configuration that has `begun`, by its number; the same where none is missing.

    Optuna numbers trials as they come, so that the study is made anew. `starts` were the first in line.
    """
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    asked = {number for number, trial in trials.items() if trial.state != TrialState.WAITING} | {*begun}
    lost = sorted(({*range(max(trials, default=-1))} | asked) - trials.keys())
    lost += [number for number in begun if number in trials and trials[number].state == TrialState.WAITING]
    if not lost:
        return study
    log.warning("Optuna lost trials %s of study %s; they are put back", ", ".join(map(str, lost)), study.study_name)
    whole = [
        _again(trials.get(number), starts[number] if number < len(starts) else None, number in asked)
        for number in range(max({*trials, *asked}) + 1)
    ]
    told, noted = study.user_attrs, storage.get_study_system_attrs(study._study_id)
    optuna.delete_study(study_name=study.study_name, storage=storage)
    anew = open_study(study.study_name, storage, (), objectives)
    for name, value in told.items():
        anew.set_user_attr(name, value)
    for name, value in noted.items():
        storage.set_study_system_attr(anew._study_id, name, value)
    for trial in whole:
        storage.create_new_trial(anew._study_id, trial)
    return anew


def _again(trial: FrozenTrial | None, start: Start | None, asked: bool) -> FrozenTrial:
    """A trial as it is, or as it was in line; one that was asked for is under way until Optuna is told of it."""
    if trial and (trial.state != TrialState.WAITING or not asked):
        return trial
    return optuna.trial.create_trial(
        state=TrialState.RUNNING if asked else TrialState.WAITING,
        system_attrs={"fixed_params": start.values} if start else {},
        user_attrs={PUT_BACK: True} | ({POINT: start.point} if start and start.point else {}),
    )
