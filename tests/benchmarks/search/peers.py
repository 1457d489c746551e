"""What one would take instead, on the same worlds: each begins with the published points, and runs one at a time.

Every engine gives what it would answer after each of `budgets`, in epochs; None where it has no answer by then.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import optuna
from optuna.trial import TrialState

from contrasweep.search_spaces import Configuration
from contrasweep.services.spec import methods
from contrasweep.services.sweep.sampling import make_sampler
from tests.benchmarks.search.sweeps import Outcome
from tests.benchmarks.search.worlds import EPOCHS, LABEL_RANGES, SEEDS, SPEC, World, draw

RUNGS = (3, 9, 27)
TOP = 3
"""Of a search with one seed, how many then run all seeds."""
WILCOXON_P = 0.2


class Ledger:
    """Trains, counts every epoch once, and writes down what is the best at each budget."""

    def __init__(self, world: World, budgets: Sequence[int]) -> None:
        self.epochs, self.tried, self.limit = 0, 0, max(budgets)
        self._world, self._budgets, self._done = world, budgets, dict[tuple[str, int], int]()
        self._best: tuple[float, Configuration | None] = (math.inf, None)
        self.answers: list[Outcome | None] = [None] * len(budgets)

    def train(self, configuration: Configuration, seed: int, epochs: int = EPOCHS) -> float:
        """The least validation MAE within so many epochs; infinite where it diverges."""
        curve, key = self._world.curve(configuration, seed), (repr(configuration), seed)
        reached = min(epochs, len(curve))
        self.epochs += max(0, reached - self._done.get(key, 0))
        self._done[key] = max(reached, self._done.get(key, 0))
        return float(curve[:reached].min()) if reached == epochs else math.inf

    def offer(self, configuration: Configuration, value: float) -> None:
        """One more answer, which is the best if its value is."""
        if value < self._best[0]:
            self._best = value, configuration
        for place, budget in enumerate(self._budgets):
            if self.epochs <= budget:
                self.answers[place] = Outcome(self._best[1], self._best[0], self.epochs, self.tried)


def _study(pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    study = optuna.create_study(study_name="peer", pruner=pruner or optuna.pruners.NopPruner())
    for start in methods.starts(SPEC, LABEL_RANGES):
        study.enqueue_trial(start.values)
    return study


def _ask(study: optuna.Study, sampler: str, stream: int, ledger: Ledger) -> tuple[optuna.Trial, Configuration]:
    study.sampler = make_sampler(sampler, ledger.tried + 1000 * stream)
    ledger.tried += 1
    trial = study.ask()
    return trial, draw(trial)


def all_seeds(world: World, budgets: Sequence[int], stream: int, sampler: str) -> list[Outcome | None]:
    """Every configuration runs every seed, as in the papers where the sampler is random."""
    ledger, study = Ledger(world, budgets), _study()
    while ledger.epochs < ledger.limit:
        trial, configuration = _ask(study, sampler, stream, ledger)
        value = fmean(ledger.train(configuration, seed) for seed in SEEDS)
        study.tell(trial, *([None, TrialState.FAIL] if math.isinf(value) else [value]))
        ledger.offer(configuration, value)
    return ledger.answers


def wilcoxon(world: World, budgets: Sequence[int], stream: int) -> list[Outcome | None]:
    """TPE and Optuna's WilcoxonPruner over seeds: one that is pruned is told the mean of those that it ran."""
    ledger = Ledger(world, budgets)
    study = _study(optuna.pruners.WilcoxonPruner(p_threshold=WILCOXON_P, n_startup_steps=2))
    while ledger.epochs < ledger.limit:
        trial, configuration = _ask(study, "tpe", stream, ledger)
        values: list[float] = []
        for seed in SEEDS:
            values.append(ledger.train(configuration, seed))
            if math.isinf(values[-1]):
                break
            trial.report(values[-1], seed)
            if trial.should_prune():
                break
        study.tell(trial, *([None, TrialState.FAIL] if math.isinf(values[-1]) else [fmean(values)]))
        ledger.offer(configuration, fmean(values) if len(values) == len(SEEDS) else math.inf)
    return ledger.answers


def hyperband(world: World, budgets: Sequence[int], stream: int) -> list[Outcome | None]:
    """Optuna's Hyperband with TPE on one seed, and then all seeds for the best few: a run for each budget."""
    return [_hyperband(world, budget, stream) for budget in budgets]


def _hyperband(world: World, budget: int, stream: int) -> Outcome | None:
    ledger = Ledger(world, [budget])
    study = _study(optuna.pruners.HyperbandPruner(min_resource=RUNGS[0], max_resource=EPOCHS, reduction_factor=3))
    whole: list[tuple[float, Configuration]] = []
    while ledger.epochs + EPOCHS <= budget - TOP * EPOCHS * (len(SEEDS) - 1):
        trial, configuration = _ask(study, "tpe", stream, ledger)
        value, state = _climbed(ledger, trial, configuration)
        study.tell(trial, value if state is TrialState.COMPLETE else None, state=state)
        whole += [(value, configuration)] if state is TrialState.COMPLETE else []
    for _, configuration in sorted(whole, key=lambda found: found[0])[:TOP]:
        ledger.offer(configuration, fmean(ledger.train(configuration, seed) for seed in SEEDS))
    return ledger.answers[0]


def _climbed(ledger: Ledger, trial: optuna.Trial, configuration: Configuration) -> tuple[float, TrialState]:
    for rung in (*RUNGS, EPOCHS):
        value = ledger.train(configuration, SEEDS[0], rung)
        if math.isinf(value):
            return value, TrialState.FAIL
        trial.report(value, rung)
        if rung < EPOCHS and trial.should_prune():
            return value, TrialState.PRUNED
    return value, TrialState.COMPLETE
