"""Which spaces each configuration of a sweep is drawn from, where some were added to it."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from contrasweep.search_spaces import Configuration, Suggests
from contrasweep.services.spec.methods import POINT

SPACES = "spaces"
"""Attribute of a study whose sweep got more spaces: from which configuration on, and which there are from there."""
METHOD = "method"

Draw = Callable[[Suggests, Sequence[str]], Configuration]
"""Draws a configuration from an Optuna trial, out of some of the search's spaces."""


@dataclass(frozen=True)
class Spaces:
    """The spaces of each configuration, by its number: those that were added are there for later ones only.

    The choices of a parameter never change inside an Optuna study. So a study keeps the method under another name for
    each list of spaces, and the sampler's study, which is made in memory for each draw, sees one parameter with the
    choices that there are by then.

    Attributes:
        lists: from which configuration on, and the spaces from there, each with all of those before it.
    """

    lists: tuple[tuple[int, tuple[str, ...]], ...]

    @classmethod
    def of(cls, study: optuna.Study, spaces: Sequence[str]) -> "Spaces":
        """Those of a sweep that has `spaces`; an extension that never came to its end may have written down more."""
        kept = ((first, tuple(names)) for first, names in study.user_attrs.get(SPACES, ()))
        return cls(tuple(one for one in kept if {*one[1]} <= {*spaces}) or ((0, tuple(spaces)),))

    @property
    def latest(self) -> int:
        """The first configuration that is drawn from all of them."""
        return self.lists[-1][0]

    @property
    def added(self) -> frozenset[str]:
        """The spaces that were not there from the beginning."""
        return frozenset(self.lists[-1][1]) - frozenset(self.lists[0][1])

    def at(self, number: int) -> tuple[str, ...]:
        """The spaces that configuration `number` is drawn from."""
        return [spaces for first, spaces in self.lists if first <= number][-1]

    def parameter(self, number: int) -> str:
        """The name that the study keeps the method of configuration `number` under."""
        several = [spaces for _, spaces in self.lists if len(spaces) > 1]
        spaces = self.at(number)
        return METHOD if spaces in several[:1] else f"{METHOD} of {len(spaces)}"

    def seen(self, trial: FrozenTrial, number: int) -> FrozenTrial:
        """A trial of the study as the sampler of configuration `number` sees it.

        Where there was one space it was asked for no method, and has one now; a named point is asked for nothing.
        """
        spaces, own, kept = self.at(number), self.at(trial.number), self.parameter(trial.number)
        if spaces == self.lists[0][1]:
            return trial
        seen = copy(trial)
        seen.params, seen.distributions = dict(trial.params), dict(trial.distributions)
        if kept in trial.params:
            seen.params[METHOD] = seen.params.pop(kept)
            del seen.distributions[kept]
        elif len(own) == 1 and POINT not in trial.user_attrs:
            seen.params[METHOD] = own[0]
        if METHOD in seen.params:
            seen.distributions[METHOD] = CategoricalDistribution(spaces)
        return seen


def add_spaces(study: optuna.Study, before: Sequence[str], now: Sequence[str]) -> None:
    """Write down that configurations which are not in line yet are drawn from `now`; again, if need be."""
    number = len(study.get_trials(deepcopy=False))
    if number and {*now} > {*before}:
        study.set_user_attr(SPACES, [*Spaces.of(study, before).lists, (number, list(now))])
