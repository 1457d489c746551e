"""SMAC 3 on a `World`, where it is installed: `pip install smac`, which the project does not ask for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from contrasweep.search_spaces import Value
from contrasweep.services.spec import methods
from tests.benchmarks.search.peers import Ledger
from tests.benchmarks.search.sweeps import Outcome
from tests.benchmarks.search.worlds import AXES, CHANCE_MAE, LABEL_RANGES, SEEDS, SPACES, SPEC, Axis, World, draw

DIVERGED_COST = 2 * CHANCE_MAE


class Given:
    """A trial that answers with given values."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._values[name])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._values[name])

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        return next(choice for choice in choices if choice == self._values[name])


def is_installed() -> bool:
    """Whether it can be imported."""
    try:
        import smac  # noqa: F401
    except ImportError:
        return False
    return True


def smac(world: World, budgets: Sequence[int], stream: int) -> list[Outcome | None]:
    """Its random forest and its intensification, which gives a configuration one seed after the other, as it likes."""
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory import TrialValue

    ledger, seeds = Ledger(world, budgets), dict[int, int]()
    seen: dict[str, dict[int, float]] = {}
    with TemporaryDirectory() as folder:
        facade, space = HyperparameterOptimizationFacade, _space(stream)
        scenario = Scenario(space, deterministic=False, n_trials=10**6, seed=stream, output_directory=Path(folder))
        engine = facade(
            scenario,
            lambda point, seed=0: 0.0,
            initial_design=facade.get_initial_design(scenario, n_configs=6, additional_configs=_starts(space)),
            intensifier=facade.get_intensifier(scenario, max_config_calls=len(SEEDS)),
            logging_level=False,
            overwrite=True,
        )
        while ledger.epochs < ledger.limit:
            asked = engine.ask()
            configuration = draw(Given({key.partition("/")[2]: value for key, value in dict(asked.config).items()}))
            values = seen.setdefault(repr(configuration), {})
            seed = seeds.setdefault(asked.seed, len(seeds))
            values[seed], ledger.tried = ledger.train(configuration, seed), len(seen)
            engine.tell(asked, TrialValue(cost=min(values[seed], DIVERGED_COST)))
            if len(values) == len(SEEDS):
                ledger.offer(configuration, fmean(values.values()))
    return ledger.answers


def _space(seed: int) -> Any:
    """The study's, each parameter under `method/parameter`, there where its method is."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition

    space, method = ConfigurationSpace(seed=seed), Categorical("/method", list(SPACES))
    space.add(method)
    for name, axes in AXES.items():
        for key, axis in axes.items():
            parameter = _parameter(f"{name}/{key}", axis)
            space.add(parameter, EqualsCondition(parameter, method, name))
    return space


def _parameter(name: str, axis: Axis) -> Any:
    from ConfigSpace import Categorical, Float, Integer

    if axis.choices:
        return Categorical(name, list(axis.choices))
    kind = Integer if isinstance(axis.low, int) else Float
    return kind(name, (axis.low, axis.high), log=axis.log)


def _starts(space: Any) -> list[Any]:
    from ConfigSpace import Configuration as Point

    found = []
    for start in methods.starts(SPEC, LABEL_RANGES):
        own = {f"{start.values['method']}/{key}": value for key, value in start.values.items() if key != "method"}
        found.append(Point(space, {"/method": start.values["method"], **own}))
    return found
