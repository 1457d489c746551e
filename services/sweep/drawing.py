"""How configuration n of a sweep is drawn: of which method, and another one where it only repeats an earlier one."""

import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import optuna

from contrasweep import search_spaces
from contrasweep.search_spaces import Configuration, Value
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.methods import POINT
from contrasweep.services.spec.spec import GRID, SearchConfig
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.prior import Prior
from contrasweep.services.sweep.sampling import Scratch, make_sampler
from contrasweep.services.sweep.spaces import Draw, Spaces

EXHAUSTED = 20
"""Draws that only repeat earlier configurations, after which there is nothing more to try of a method."""


class Drawing:
    """Draws the configurations of a search.

    Where tuning is fair, the next is of the method that has had the fewest, in their order, points aside; the sampler
    learns from configurations of that method alone, so that none is tuned by what is good for another.

    Args:
        study: Optuna's, named by the sweep id.
        draw: from an Optuna trial.
        search: spaces, sampler and fairness of the spec.
        learned: what earlier sweeps came to.
    """

    def __init__(self, study: optuna.Study, draw: Draw, search: SearchConfig, learned: Sequence[Learned] = ()) -> None:
        self._study, self._draw, self._search, self._prior = study, draw, search, Prior(learned, draw)
        self._spaces = Spaces.of(study, search.spaces)
        self._points = {trial.number for trial in study.get_trials(deepcopy=False) if POINT in trial.user_attrs}

    def next(
        self, number: int, drawn: Mapping[int, Configuration], known: Mapping[int, TrialRecord | None]
    ) -> tuple[Scratch, Configuration]:
        """What is drawn as configuration `number`, whenever it is asked; an earlier one only where nothing else is.

        What repeats an earlier one is drawn anew, at random: a sampler that is sure of the best would draw it for ever.
        `drawn` has the configurations by number, and `known` what became of those that may be learned from.
        """
        earlier = {n: one for n, one in drawn.items() if n < number}
        own = self._study.get_trials(deepcopy=False)[number : number + 1]
        is_in_line = any(trial.params or trial.system_attrs or trial.number in self._points for trial in own)
        for place, method in enumerate(self._turns(number, earlier)):
            spaces = (method,) if method else self._spaces.at(number)
            seen = [n for n, one in earlier.items() if one.method == method] if method else None
            first, prior = is_in_line and place == 0, self._prior.trials(spaces, known.values())
            attempts = self._attempts(number, place * (EXHAUSTED + 1), spaces, earlier.values(), in_line=first)
            for attempt, sampler in enumerate(attempts):
                in_line = first and attempt == 0
                scratch = Scratch(
                    self._study, number, known, sampler, self._spaces, seen=seen, prior=prior, in_line=in_line
                )
                configuration = self._draw(scratch.trial, spaces)
                if configuration not in earlier.values():
                    return scratch, configuration
        return scratch, configuration

    def _turns(self, number: int, earlier: Mapping[int, Configuration]) -> list[str]:
        """The methods by whose turn it is, the next one first; an empty one where the sampler chooses."""
        spaces = self._spaces.at(number)
        if len(spaces) == 1 or not self._search.fair:
            return [""]
        tried = Counter(one.method for n, one in earlier.items() if n not in self._points)
        return sorted(spaces, key=tried.__getitem__)

    def _attempts(
        self, number: int, first: int, spaces: Sequence[str], earlier: Collection[Configuration], *, in_line: bool
    ) -> Iterator[optuna.samplers.BaseSampler]:
        """Samplers to try one after the other, with random numbers from the `first` on."""
        if self._search.sampler == GRID:
            random = make_sampler("random", number)
            yield from [random] * in_line
            yield from (_at(values) for values, one in self._grid(spaces) if one not in earlier)
            yield random  # a repeat: there is nothing more
            return
        for retry in range(EXHAUSTED + 1):
            yield make_sampler("random" if retry else self._search.sampler, number, first + retry)

    def _grid(self, spaces: Sequence[str]) -> Iterator[tuple[dict[str, Value], Configuration]]:
        return search_spaces.product(lambda trial: self._draw(trial, spaces))


def _at(values: dict[str, Value]) -> optuna.samplers.BaseSampler:
    """A sampler that draws `values`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(values, optuna.samplers.RandomSampler())
