"""How good a sweep's choice is, for its epochs, beside peers, on simulated training.

    python tests/benchmarks/bench_search.py [--worlds N] [--block look|held-out] [--engines NAME ...] [--processes N]

The project's own searcher, referee and leaderboard run on N `World`s of each of five families; training alone is
replaced. Budgets are a sixth, a third and all of the 4,500 epochs of 30 configurations x 5 seeds, in years of MAE:

- regret: the noise-free error of the chosen configuration above that of the best there is, and its paired difference to
  random search with 30 x 5;
- optimism: how much worse the chosen configuration is over 100 other seeds than was reported of it.

Brackets are 95 % bootstrap intervals over worlds. What is tried out is to be looked at on the block `look`; the worlds
of `held-out` are for a figure to report. Then: how often racing stops a configuration that is as good as the best.
NePS with ifBO is not among the peers: it needs pretrained weights of its own.
"""

import argparse
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from rich.console import Console
from rich.table import Table

from tests.benchmarks.search import peers, smac
from tests.benchmarks.search.false_stops import false_stops
from tests.benchmarks.search.sweeps import Outcome, Sweep
from tests.benchmarks.search.worlds import FAMILIES, World

WHOLE = 4500
BUDGETS = (WHOLE // 6, WHOLE // 3, WHOLE)
BLOCKS = {"look": 0, "held-out": 1000}
"""Where the numbers of a block's worlds begin."""
NO_ANSWER_REGRET = 3.0
RESAMPLED = 2000

Engine = Callable[[World, Sequence[int], int], list[Outcome | None]]
Row = tuple[float, float | None, Outcome | None]
"""Regret, optimism and outcome."""
Found = dict[tuple[str, int], dict[tuple[str, int], Row]]
"""By engine and budget, and then by family and instance of the world."""


def swept(world: World, budgets: Sequence[int], stream: int, **search: Any) -> list[Outcome | None]:
    """A sweep of ours for each budget, with three seeds a configuration, as is the default."""
    runs = 3
    return [Sweep(world, seeds=range(runs), trials=budget // (30 * runs), **search).run(stream) for budget in budgets]


ENGINES: dict[str, Engine] = {
    "random": partial(peers.all_seeds, sampler="random"),
    "tpe": partial(peers.all_seeds, sampler="tpe"),
    "wilcoxon": peers.wilcoxon,
    "hyperband": peers.hyperband,
    "smac": smac.smac,
    "raced": partial(swept, racing={"rungs": [3, 9], "reinvest": True}),
    "fresh": partial(swept, racing={"rungs": [3, 9], "reinvest": True, "judged_on": "fresh"}),
    "unfair": partial(swept, fair=False, racing={"rungs": [3, 9], "reinvest": True, "judged_on": "fresh"}),
}
"""Peers, in `peers.py` and `smac.py`, and ours with the two values of `racing.judged_on`, and without `fair`.

Peers have one study of all methods, and give the best of them more than its share, as ours do without `fair`.
"""
SLOW = ("smac",)
"""Minutes a sweep: these run where they are named."""
REFERENCE = ("random", WHOLE)


def main() -> None:
    """Run all, print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=2, help="of each family")
    parser.add_argument("--block", choices=list(BLOCKS), default="look")
    parser.add_argument("--engines", choices=list(ENGINES), nargs="+", default=[n for n in ENGINES if n not in SLOW])
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    found: Found = defaultdict(dict)
    began, missing = time.perf_counter(), [] if smac.is_installed() else ["smac"]
    engines = [name for name in dict.fromkeys([REFERENCE[0], *asked.engines]) if name not in missing]
    console = Console(width=140)
    worlds = [(family, BLOCKS[asked.block] + place) for place in range(asked.worlds) for family in FAMILIES]
    with ProcessPoolExecutor(asked.processes, initializer=be_quiet) as pool:
        for done, rows in enumerate(pool.map(run_world, worlds, repeat(engines)), start=1):
            for (name, budget), row in rows.items():
                found[name, budget][worlds[done - 1]] = row
            if done % 10 == 0:
                sys.stderr.write(f"{done} of {len(worlds)} worlds, {time.perf_counter() - began:.0f} s\n")
    console.print(table_of(found))
    if missing:
        console.print("smac is not installed: pip install smac")
    console.print(
        f"{asked.worlds} worlds x {len(FAMILIES)} families of {asked.block}, {time.perf_counter() - began:.0f} s"
    )
    console.print(false_stops(20 * asked.worlds))


def be_quiet() -> None:
    """What Optuna says of each trial, and warns of, is not said."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def run_world(where: tuple[str, int], engines: Sequence[str]) -> dict[tuple[str, int], Row]:
    """Every engine at every budget, on the world of a family and an instance."""
    world, rows = World(*where), {}
    for name in engines:
        for budget, outcome in zip(BUDGETS, ENGINES[name](world, BUDGETS, world.instance + 1), strict=True):
            choice = outcome.choice if outcome else None
            regret = world.regret(choice) if choice else NO_ANSWER_REGRET
            optimism = world.expected(choice) - outcome.reported if outcome and choice else None
            rows[name, budget] = regret, optimism, outcome
    return rows


def table_of(found: Found) -> Table:
    """A line for each engine and budget, in the order in which they came."""
    table = Table("engine", "budget", "epochs", "tried", "regret", "to random 30 x 5", "optimism", "worlds")
    reference = found[REFERENCE]
    for (name, budget), worlds in found.items():
        outcomes = [outcome for _, _, outcome in worlds.values() if outcome]
        differences = [regret - reference[world][0] for world, (regret, _, _) in worlds.items()]
        table.add_row(
            name,
            str(budget),
            f"{fmean(outcome.epochs for outcome in outcomes):.0f}" if outcomes else "-",
            f"{fmean(outcome.tried for outcome in outcomes):.0f}" if outcomes else "-",
            f"{fmean(regret for regret, _, _ in worlds.values()):.3f}",
            interval(differences) if (name, budget) != REFERENCE else "",
            interval([optimism for _, optimism, _ in worlds.values() if optimism is not None]),
            str(len(worlds)),
        )
    return table


def interval(values: Sequence[float]) -> str:
    """The mean with its 95 % bootstrap interval."""
    if not values:
        return "-"
    rng, array = np.random.default_rng(0), np.array(values)
    means = array[rng.integers(0, len(array), (RESAMPLED, len(array)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{array.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
