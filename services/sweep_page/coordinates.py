"""Parallel coordinates: the configurations of one method as lines across its parameters, to what they reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from contrasweep.search_spaces import Value
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.sweep_page.content import Content
from contrasweep.services.sweep_page.figures import error_axis
from contrasweep.services.sweep_page.parameters import Parameter
from contrasweep.services.text import parameter
from contrasweep.trainers.drawing import DIM, GRADED, INK, PALE, WIDTH_IN, canvas, plain
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.objectives import Objective

_LINE_BREAK = 13


@dataclass(frozen=True)
class Scale:
    """One upright axis: where values are between its ends, 0 and 1, and what is written along it."""

    title: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    choices: tuple[Value, ...] = ()

    def place(self, value: Value) -> float:
        """Where a value is; those beyond the ends are at them."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        assert isinstance(value, int | float)
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, max(value, self.low)))
        return min(1.0, (at - low) / (high - low)) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """(place, text) of what is written."""
        if self.choices:
            return [(self.place(choice), plain(parameter(choice))) for choice in self.choices]
        locator = LogLocator(subs=(1, 2, 5)) if self.log else MaxNLocator(4, integer=self.whole)
        inside = [float(x) for x in locator.tick_values(self.low, self.high) if self.low <= x <= self.high]
        values = inside if 2 <= len(inside) <= 7 else [self.low, self.high]
        return [(self.place(value), parameter(value)) for value in dict.fromkeys(values)]


def parallel_coordinates(content: Content, records: Sequence[TrialRecord], parameters: Sequence[Parameter]) -> Figure:
    """Complete configurations coloured by their objective, the same for every method; those cut short grey."""
    scales = [_scale(parameter) for parameter in parameters]
    objective = Scale(content.objective.heading, *_ends(content.records, content.objective))
    figure = canvas(3.3, min(WIDTH_IN, 3 + 1.1 * len(scales)))
    axes = figure.add_subplot()
    whole = [record for record in content.records if record.state == COMPLETE]
    colours, norm = _colours(content.objective), Normalize(*_ends(whole, content.objective))
    for record in reversed(records):  # the best is drawn last, above the others
        value = record.score
        if record.failure or not math.isfinite(value):
            continue
        places = [s.place(p.value(record)) for s, p in zip(scales, parameters, strict=True)] + [objective.place(value)]
        if record.state == COMPLETE:
            axes.plot(places, color=colours(norm(value)), linewidth=1.8, alpha=0.9, zorder=3)
        else:
            axes.plot(places, color=PALE, linewidth=1, linestyle=(0, (4, 2)), zorder=2)
    for x, scale in enumerate((*scales, objective)):
        _upright(axes, x, scale)
    axes.set(xlim=(-0.35, len(scales) + 0.35), ylim=(-0.06, 1.06))
    axes.set_axis_off()
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.01, aspect=30)
    bar.set_label(error_axis(content), fontsize=8.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.5)
    return figure


def _ends(records: Sequence[TrialRecord], objective: Objective) -> tuple[float, float]:
    """From the best to what the better nine of ten reached: one that went astray would leave no room to the rest."""
    reached = [value for record in records if math.isfinite(value := record.objective)] or [0.0]
    low, high = sorted(map(objective.turned, (min(reached), float(np.quantile(reached, 0.9)))))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _upright(axes: Axes, x: int, scale: Scale) -> None:
    axes.plot([x, x], [0, 1], color=DIM, linewidth=1, zorder=4)
    halo = {"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    for y, text in scale.ticks():
        axes.plot([x - 0.015, x + 0.015], [y, y], color=DIM, linewidth=1, zorder=4)
        axes.text(x + 0.03, y, text, fontsize=8, color=INK, va="center", zorder=3.5, bbox=halo)
    log = "\n(log)" if scale.log else ""
    axes.text(x, 1.07, _broken(plain(scale.title)) + log, fontsize=9, color=INK, ha="center", va="bottom")


def _scale(parameter: Parameter) -> Scale:
    drawn = parameter.distribution
    if isinstance(drawn, CategoricalDistribution):
        return Scale(parameter.name, 0, 1, choices=tuple(drawn.choices))
    assert isinstance(drawn, FloatDistribution | IntDistribution)
    return Scale(parameter.name, drawn.low, drawn.high, drawn.log, isinstance(drawn, IntDistribution))


def _broken(title: str) -> str:
    """A long name in two lines, broken after a space or an underscore where it has one."""
    if len(title) <= _LINE_BREAK:
        return title
    breaks = [at + 1 for at, letter in enumerate(title) if letter in "_ "] or [_LINE_BREAK]
    middle = min(breaks, key=lambda at: abs(at - len(title) / 2))
    return f"{title[:middle]}\n{title[middle:]}"


def _colours(objective: Objective) -> Colormap:
    """The colour map without its yellow, which does not show on white; what is better is darker."""
    shades = np.linspace(0, 0.88, 64)
    return LinearSegmentedColormap.from_list(
        "page", mpl.colormaps[GRADED](shades[::-1] if objective.higher else shades)
    )
