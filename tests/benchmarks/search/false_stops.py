"""How often racing stops a configuration that is in truth as good as the best, or worse."""

import math
from itertools import product
from statistics import fmean

import numpy as np
from rich.table import Table

from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.sweep.racing import Racer, Rule
from tests.benchmarks.search.sweeps import Curve
from tests.benchmarks.search.worlds import EPOCHS, SEEDS

PLAN, CONFIDENCE = SeedPlan(SEEDS, EPOCHS), 0.9
SD_SEED = SD_EPOCH = 0.2
BEHIND = (0.0, 0.5, 1.0)
"""In truth, in years of MAE."""


def false_stops(repeats: int) -> Table:
    """The share that is stopped, and the epochs of 150 that it ran, by how many equals the best is the luckiest of."""
    table = Table("equals", "rungs", "speeds differ", *(f"{behind:g} behind: stopped, epochs" for behind in BEHIND))
    for equals, rungs, speeds in product((4, 10, 30), ((), (3, 9)), (0.0, 0.4)):
        rng, rule = np.random.default_rng(0), Rule(PLAN, rungs, CONFIDENCE)
        ran: dict[float, list[int]] = {behind: [] for behind in BEHIND}
        for _ in range(repeats):
            others = [Racer(_run(rng, 7.0, speeds), EPOCHS, PLAN.replicates) for _ in range(equals)]
            for behind in BEHIND:
                ran[behind].append(_raced(rule, _run(rng, 7.0 + behind, speeds), others))
        cells = (f"{fmean(n < PLAN.epochs for n in of):.2f}, {fmean(of):.0f}" for of in ran.values())
        table.add_row(str(equals), str(list(rungs)), "yes" if speeds else "no", *cells)
    return table


def _run(rng: np.random.Generator, level: float, speeds: float) -> dict[Replicate, Curve]:
    """Every seed of a configuration, with noise of seed and epoch around an exponential."""
    tau = 3 * math.exp(rng.normal(0, speeds))
    mean = level + 5 * np.exp(-np.arange(1, EPOCHS + 1) / tau)
    noise = SD_EPOCH * rng.normal(size=(len(SEEDS), EPOCHS)) + SD_SEED * rng.normal(size=(len(SEEDS), 1))
    return {run: Curve(run.seed, mean + of, EPOCHS) for run, of in zip(PLAN.replicates, noise, strict=True)}


def _raced(rule: Rule, whole: dict[Replicate, Curve], others: list[Racer]) -> int:
    """How many epochs run before it is stopped, or all."""
    own: dict[Replicate, Curve] = {}
    for before, (run, curve) in enumerate(whole.items()):
        for stop in (*rule.rungs, EPOCHS):
            own[run] = curve.up_to(stop, "")
            if rule.hopeless(Racer(own, EPOCHS, PLAN.replicates), others):
                return before * EPOCHS + stop
    return PLAN.epochs
