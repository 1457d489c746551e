"""Which parameters mattered: the share of the objective's variance that each accounts for, by fANOVA."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.sweep_page.content import Content
from contrasweep.services.sweep_page.parameters import Parameter, by_method, searched
from contrasweep.trainers.history import COMPLETE

FEWEST = 10
"""Configurations of a method below which shares would be noise."""


@dataclass(frozen=True)
class Importance:
    """Shares of the variance by parameter, largest first, over `count` configurations of a method.

    `compared` says at what they were compared. Without enough of them there are no shares.
    """

    method: str
    count: int
    compared: str
    shares: Mapping[str, float]


def importances(content: Content) -> list[Importance]:
    """Of each method that searched anything."""
    return [
        _importance(content, method, records, parameters)
        for method, records in by_method(content).items()
        if (parameters := searched(method, records, content.distributions))
    ]


def _importance(
    content: Content, method: str, records: Sequence[TrialRecord], parameters: Sequence[Parameter]
) -> Importance:
    compared, values = _compared(content, records)
    known = [record for record in records if record.number in values]
    shares: Mapping[str, float] = {}
    if len(known) >= FEWEST and np.ptp(list(values.values())) > 0:
        shares = _fanova(parameters, known, [values[record.number] for record in known])
    return Importance(method, len(known), compared, shares)


def _compared(content: Content, records: Sequence[TrialRecord]) -> tuple[str, dict[int, float]]:
    """Objectives of complete configurations; where racing left too few, what all reached before it could stop any."""
    whole = {r.number: r.objective for r in records if r.state == COMPLETE}
    racing = content.spec.search.racing
    if len(whole) >= FEWEST or racing is None:
        return "complete", whole
    shortest = min((record.plan.judged_epochs for record in records), default=content.spec.judged_epochs)
    epochs, first = (*racing.rungs, shortest)[0], content.plan.replicates[0]
    early = {
        record.number: value
        for record in records
        if not record.failure
        and first in record.histories
        and len(record.histories[first].epochs) >= epochs
        and math.isfinite(value := record.histories[first].best_until(epochs))
    }
    return f"that ran {first.words} for {epochs} epochs, compared there: racing left too few complete ones", early


def _fanova(
    parameters: Sequence[Parameter], records: Sequence[TrialRecord], objectives: Sequence[float]
) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # seconds to import

    varying = [p for p in parameters if len({p.value(record) for record in records}) > 1]
    distributions = {parameter.name: parameter.distribution for parameter in varying}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for record, objective in zip(records, objectives, strict=True):
            params = {parameter.name: parameter.value(record) for parameter in varying}
            study.add_trial(
                create_trial(state=TrialState.COMPLETE, value=objective, params=params, distributions=distributions)
            )
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return dict(sorted(shares.items(), key=lambda share: -share[1]))
