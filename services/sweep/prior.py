"""What a sampler sees of earlier sweeps: their configurations as trials of today's space."""

import math
import warnings
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from statistics import fmean

import optuna
from optuna.trial import FixedTrial, FrozenTrial

from contrasweep.search_spaces import Configuration, Value, qualified
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.sampling import as_attributes
from contrasweep.services.sweep.spaces import METHOD, Draw
from contrasweep.trainers.history import COMPLETE


@dataclass(frozen=True)
class _Recalled:
    """A configuration of an earlier sweep as it would be drawn today, and a trial of it with the values of then."""

    sweep: str
    drawn: Configuration
    trial: FrozenTrial


class Prior:
    """What a sampler sees of earlier sweeps.

    Args:
        learned: what their configurations came to.
        draw: from an Optuna trial, as the sweep's own are drawn.
    """

    def __init__(self, learned: Sequence[Learned], draw: Draw) -> None:
        self._learned, self._draw = learned, draw
        self._sweeps = {one.sweep for one in learned}
        self._recalled: dict[tuple[str, ...], list[_Recalled]] = {}

    def trials(self, spaces: Sequence[str], known: Iterable[TrialRecord | None]) -> list[FrozenTrial]:
        """Those that could be drawn out of `spaces`, as complete trials, with what each would come to in this sweep.

        Another seed, split or length of training moves what all come to: by as much as it does in the mean of the
        configurations that both sweeps have tried whole, of which `known` has this sweep's.
        """
        recalled = self._out_of(tuple(spaces))
        own = [record for record in known if record and _is_whole(record)] if recalled else []
        moves = {sweep: _move([one for one in recalled if one.sweep == sweep], own) for sweep in self._sweeps}
        return [_moved(one.trial, moves[one.sweep]) for one in recalled]

    def _out_of(self, spaces: tuple[str, ...]) -> list[_Recalled]:
        if spaces not in self._recalled:
            found = (_recalled(learned, self._draw, spaces) for learned in self._learned)
            self._recalled[spaces] = [one for one in found if one]
        return self._recalled[spaces]


def _recalled(learned: Learned, draw: Draw, spaces: Sequence[str]) -> _Recalled | None:
    """None where it could not be drawn: it is out of a range, or differs in what is not searched."""
    asked = FixedTrial(_values(learned.configuration))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a value out of its range, which `create_trial` refuses
            drawn = draw(asked, spaces)
        trial = optuna.trial.create_trial(
            values=learned.values,
            params=asked.params,
            distributions=asked.distributions,
            system_attrs=as_attributes(learned.excess),
        )
    except ValueError:
        return None
    return _Recalled(learned.sweep, drawn, trial) if _is(drawn, learned.configuration) else None


def _values(configuration: Configuration) -> dict[str, Value]:
    """All that a trial may be asked for, by name."""
    return {
        METHOD: configuration.method,
        **{f"choices.{axis}": option for axis, option in configuration.choices.items()},
        **{f"training.{name}": value for name, value in configuration.training.items()},
        **qualified(configuration.method, configuration.params),
    }


def _is(drawn: Configuration, learned: Configuration) -> bool:
    same = (drawn.method, drawn.params, drawn.choices) == (learned.method, learned.params, learned.choices)
    return same and drawn.training.items() <= learned.training.items()


def _is_whole(record: TrialRecord) -> bool:
    return record.state == COMPLETE and all(map(math.isfinite, record.ranked))


def _move(recalled: Iterable[_Recalled], own: Sequence[TrialRecord]) -> list[float]:
    """The mean difference of each objective, this sweep's less the earlier one's; none where they share nothing."""
    differences = [
        [now - then for now, then in zip(record.objectives.values(), one.trial.values, strict=True)]
        for one in recalled
        for record in own
        if record.configuration == one.drawn
    ]
    return [fmean(of) for of in zip(*differences, strict=True)]


def _moved(trial: FrozenTrial, move: Sequence[float]) -> FrozenTrial:
    if not move:
        return trial
    moved = copy(trial)
    moved.values = [value + by for value, by in zip(trial.values, move, strict=True)]
    return moved
