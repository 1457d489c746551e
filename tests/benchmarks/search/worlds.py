"""Synthetic training: a configuration of the project's own search spaces -> validation MAE by epoch and seed.

A `World` is one instance of a family of surfaces. What was not invented is calibrated on histories of real sweeps: the
standard deviation over seeds (log-normal around 0.2 years by method and configuration, larger for bad ones), the noise
from epoch to epoch (0.1 to 0.35), the spread between configurations (1 to 3 years from the 2nd to the 95th percentile).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrasweep import search_spaces
from contrasweep.search_spaces import Configuration, Suggests, Value
from contrasweep.services.spec import methods
from contrasweep.services.spec.spec import Options, PointConfig, SweepSpec
from contrasweep.trainers.seeding import fold

Floats = NDArray[np.float64]

SPACES = ("dynlocrep", "supremix", "exponential", "rank_n_contrast")
FAMILIES = ("smooth", "conditional", "crossing", "needle", "flat")
"""Of surfaces: one bowl for each method; the best method is narrow; what ends well begins slowly; a narrow optimum in a
wide plain; hardly any difference, but for learning rates that are plainly bad."""
EPOCHS, SEEDS = 30, (0, 1, 2, 3, 4)
LABEL_RANGES: dict[Options, float] = {(): 60.0}
"""Of the training labels; there are no options of data."""
BEST_MAE, CHANCE_MAE = 6.8, 12.0
OFF_PUBLISHED = 0.45
"""Standard deviation of optima around the published points, in units of a range: they lie nearly anywhere."""
_FRESH_FROM = 10_000
_EXPECTED_OF = 100


def make_spec(**search: Any) -> SweepSpec:
    """The study that is searched: four methods and the learning rate, 30 epochs, five seeds."""
    return SweepSpec.model_validate(
        {
            "name": "world",
            "data": {"participants": "people.tsv", "image": "{participant_id}.png", "label": "age"},
            "training": {"epochs": EPOCHS, "batch_size": 32, "lr": 1e-3},
            "search": {
                "spaces": SPACES,
                "override": {"training.lr": {"low": 1e-4, "high": 3e-3, "log": True}},
                "seeds": SEEDS,
                **search,
            },
        }
    )


SPEC = make_spec()


def draw(trial: Suggests, spaces: Sequence[str] = SPACES) -> Configuration:
    """A configuration of the study, out of an Optuna trial."""
    return methods.draw(trial, SPEC.searching(spaces=spaces), LABEL_RANGES)


class Axis(NamedTuple):
    """A parameter's range: its ends, whether it is logarithmic, and what there is to choose from."""

    low: float
    high: float
    log: bool
    choices: tuple[Value, ...]

    def place(self, value: Value) -> float:
        """Where a value lies in [0, 1]; a choice in the middle of its share."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        assert isinstance(value, int | float)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5


class Axes:
    """A trial that notes the axes of a method."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.found: dict[str, Axis] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.found[name] = Axis(low, high, log, ())
        return low

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.found[name] = Axis(low, high, log, ())
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        if name == "method":
            return self._method
        self.found[name] = Axis(0, 1, False, tuple(choices))
        return choices[0]


def _axes(method: str) -> dict[str, Axis]:
    noted = Axes(method)
    draw(noted)
    return noted.found


AXES = {method: _axes(method) for method in SPACES}


def coordinates(configuration: Configuration) -> Floats:
    """The configuration's place in the unit cube of its method."""
    told = {**search_spaces.qualified(configuration.method, configuration.params)}
    told |= {f"training.{name}": value for name, value in configuration.training.items()}
    return np.array([axis.place(told[name]) for name, axis in AXES[configuration.method].items()])


def _published(method: str) -> Configuration:
    start = next(s for s in methods.starts(SPEC, LABEL_RANGES) if s.values["method"] == method)
    chosen = PointConfig(name="published", method=method)
    params = methods.configured(chosen, SPEC).params
    own = {name.removeprefix(f"{method}."): value for name, value in start.values.items() if name.startswith(method)}
    return Configuration(method, params | own, {"lr": start.values["training.lr"]})


PUBLISHED = {method: _published(method) for method in SPACES}


@dataclass
class Surface:
    """One method's: a bowl in what is continuous, effects of choices, ripples, and maybe a narrow well."""

    optimum: Floats
    weight: Floats
    mix: Floats
    effects: list[Floats | None]
    waves: Floats
    phases: Floats
    ripple: float
    offset: float = 0.0
    depth: float = 0.0

    def values(self, places: Floats) -> Floats:
        """Of places [n, d]: [n]."""
        smooth = np.where(self._chosen, 0.0, places - self.optimum)
        bowl = (np.abs(smooth) ** 1.6 * self.weight).sum(1) + ((smooth @ self.mix) ** 2).sum(1)
        chosen = [self._effect(effect, places[:, d]) for d, effect in enumerate(self.effects) if effect is not None]
        ripples = np.cos(places @ self.waves + self.phases).mean(1) * self.ripple
        width = 0.16 + 0.03 * places.shape[1]
        missed = 0.15 * sum((one > 0.05 for one in chosen), np.zeros(len(places)))
        well = self.depth * np.exp(-(smooth**2).sum(1) / (2 * width**2)) * (1 - missed)
        return np.asarray(self.offset + bowl + sum(chosen, np.zeros(len(places))) + ripples - well)

    @property
    def _chosen(self) -> NDArray[np.bool_]:
        return np.array([effect is not None for effect in self.effects])

    @staticmethod
    def _effect(effect: Floats, place: Floats) -> Floats:
        return np.asarray(effect[np.minimum((place * len(effect)).astype(int), len(effect) - 1)])

    def least(self, rng: np.random.Generator) -> float:
        """The least value, by random search that narrows down."""
        places = np.concatenate([rng.random((3000, len(self.optimum))), self.optimum[None]])
        for width in (0.15, 0.08, 0.04, 0.02):
            top = places[np.argsort(self.values(places))[:30]]
            near = np.clip(top[:, None] + rng.normal(0, width, (30, 30, top.shape[1])), 0, 1).reshape(-1, top.shape[1])
            places = np.concatenate([top, near, np.where(self._chosen, np.repeat(top, 30, 0), near)])
        return float(self.values(places).min())


class World:
    """One instance of `family`."""

    def __init__(self, family: str, instance: int) -> None:
        self.family, self.instance = family, instance
        rng = np.random.default_rng(fold("world", family, instance))
        self._surfaces = {method: self._surface(method, rng) for method in SPACES}
        self._rank(rng)
        places = {method: rng.random((3000, len(AXES[method]))) for method in SPACES}
        values = np.concatenate([self._surfaces[method].values(places[method]) for method in SPACES])
        low, high = np.quantile(values, [0.02, 0.95])
        spread = 0.3 if family == "flat" else float(rng.uniform(1.0, 3.0))
        self._scale = 1.0 if family == "needle" else spread / float(high - low)
        self._least = min(surface.least(rng) for surface in self._surfaces.values())
        self._sigma = {method: math.exp(rng.normal(math.log(0.2), 0.45)) for method in SPACES}
        self._epoch_noise = float(rng.uniform(0.1, 0.35))
        self._slowness = {method: rng.normal(0, 1, len(AXES[method])) for method in SPACES}
        self._tau = math.exp(rng.uniform(math.log(0.06), math.log(0.2))) * EPOCHS
        self._known: dict[tuple[str, int], Floats] = {}

    def regret(self, configuration: Configuration) -> float:
        """Noise-free MAE at the best epoch above that of the best configuration there is."""
        return self._target(configuration, coordinates(configuration)) - BEST_MAE

    def expected(self, configuration: Configuration) -> float:
        """What an honest report says: the objective's mean over seeds that nothing was chosen by."""
        seeds = range(_FRESH_FROM, _FRESH_FROM + _EXPECTED_OF)
        return float(np.mean([self._trained(configuration, seed).min() for seed in seeds]))

    def curve(self, configuration: Configuration, seed: int) -> Floats:
        """Validation MAE of each epoch, cut short where training diverges."""
        key = repr(configuration), seed
        if key not in self._known:
            gone = self._divergence(configuration)
            curve = self._trained(configuration, seed)
            self._known[key] = curve[: gone[1]] if gone and gone[0] == seed else curve
        return self._known[key]

    def _surface(self, method: str, rng: np.random.Generator) -> Surface:
        axes = list(AXES[method].values())
        continuous = np.array([not axis.choices for axis in axes])
        optimum = np.abs(coordinates(PUBLISHED[method]) + rng.normal(0, OFF_PUBLISHED, len(axes))) % 2
        optimum = np.clip(np.where(optimum > 1, 2 - optimum, optimum), 0.02, 0.98)  # reflected at both ends
        flat = self.family == "needle"
        weight = rng.exponential(1.0, len(axes)) ** 1.5 * continuous * (0.12 if flat else 1)
        mix = rng.normal(0, 0.5, (len(axes), 2)) * continuous[:, None] * (0.3 if flat else 1)
        effects: list[Floats | None] = []
        for axis in axes:
            effect = rng.exponential(0.15, len(axis.choices)) * (0.3 if flat else 1)
            effects.append(effect - effect.min() if axis.choices else None)
        waves, phases = rng.normal(0, 5, (len(axes), 6)), rng.uniform(0, 2 * np.pi, 6)
        return Surface(optimum, weight, mix, effects, waves, phases, 0.15 if self.family == "flat" else 0.12)

    def _rank(self, rng: np.random.Generator) -> None:
        """Set the methods apart, the best of them as the family has it."""
        order = [self._surfaces[SPACES[i]] for i in rng.permutation(len(SPACES))]
        gap = {"conditional": 0.5, "flat": 0.04, "needle": 0.1}.get(self.family, 0.25)
        for rank, surface in enumerate(order):
            surface.offset = gap * rank * rng.uniform(0.5, 1.5)
        if self.family == "conditional":
            order[0].weight = order[0].weight * 4
            order[0].mix = order[0].mix * 2
        if self.family == "needle":
            order[0].depth = order[1].depth = 1.0

    def _target(self, configuration: Configuration, place: Floats) -> float:
        value = float(self._surfaces[configuration.method].values(place[None])[0])
        burnt = 2.0 * max(0.0, (place[-1] - 0.85) / 0.15) if self.family == "flat" else 0.0
        return (value - self._least) * self._scale + burnt + BEST_MAE

    def _divergence(self, configuration: Configuration) -> tuple[int, int] | None:
        """Seed and epoch at which training diverges: 2 % do anywhere, more at the top of the learning rates."""
        if configuration in PUBLISHED.values():
            return None
        rng = np.random.default_rng(fold("diverges", self.family, self.instance, repr(configuration)))
        if rng.random() >= 0.02 + (0.25 if coordinates(configuration)[-1] > 0.92 else 0.0):
            return None
        return (0 if rng.random() < 0.7 else int(rng.integers(1, 5)), int(rng.integers(1, EPOCHS)))

    def _trained(self, configuration: Configuration, seed: int) -> Floats:
        """Every epoch, with noise of seed and epoch: of a seed's 30 % are common to all configurations."""
        name, place = repr(configuration), coordinates(configuration)
        target = self._target(configuration, place)
        rng = np.random.default_rng(fold("configuration", self.family, self.instance, name))
        bad = min(2.0, max(0.0, target - BEST_MAE))
        sigma = self._sigma[configuration.method] * math.exp(rng.normal(0, 0.35)) * (1 + 0.5 * bad)
        slow = float(self._slowness[configuration.method] @ (place - 0.5)) - 1.2 * (place[-1] - 0.5)
        slow += 1.6 * (0.5 - min(1.0, bad)) if self.family == "crossing" else 0.0
        tau = float(np.clip(self._tau * math.exp(0.6 * slow), 0.6, 0.45 * EPOCHS))
        peak = EPOCHS if rng.random() < 0.6 else int(rng.integers(EPOCHS // 2, EPOCHS))
        overfitting = rng.uniform(0.0, 0.04)
        epochs = np.arange(1, EPOCHS + 1)
        left, left_at_peak = np.exp(-((epochs / tau) ** 0.8)), math.exp(-((peak / tau) ** 0.8))
        shape = np.clip((left - left_at_peak) / (1 - left_at_peak), 0, None)
        mean = target + (CHANCE_MAE - target) * shape + overfitting * np.clip(epochs - peak, 0, None)
        common = np.random.default_rng(fold("seed", self.family, self.instance, seed)).normal()
        own = np.random.default_rng(fold("run", self.family, self.instance, name, seed))
        level = sigma * (math.sqrt(0.3) * common + math.sqrt(0.7) * own.normal())
        warped = np.interp(epochs * math.exp(own.normal(0, 0.15)), epochs, mean)
        return np.asarray(warped + level + own.normal(0, self._epoch_noise, EPOCHS))
