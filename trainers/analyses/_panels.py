"""What figures of several configurations have in common."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from contrasweep.trainers.analyses.base import Evidence
from contrasweep.trainers.drawing import COLOURS, FAINT, INK, MARKERS, WIDTH_IN, axes_of, canvas, plain
from contrasweep.trainers.interval import Interval

_MOST_COLUMNS = 4
_NARROW_IN = 6.4


def grid(names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure with a square panel of each name, above which it stands."""
    columns = min(len(names), _MOST_COLUMNS)
    rows = math.ceil(len(names) / columns)
    width = min(WIDTH_IN, 0.8 + 3.2 * columns)
    figure = canvas(0.4 + rows * (width / columns + 0.2), width)
    found = [axes_of(figure, (rows, columns, place)) for place in range(1, len(names) + 1)]
    for axes, name in zip(found, names, strict=True):
        axes.set_title(plain(name), fontsize=9.5, loc="left", color=INK)
    return figure, found


def labelled(evidence: Evidence, before: str = "") -> str:
    """The label with its unit, as an axis is named: `true age (years)`."""
    unit = f" ({plain(evidence.unit)})" if evidence.unit else ""
    return f"{before} {plain(evidence.label)}{unit}".strip()


def in_unit(evidence: Evidence, what: str) -> str:
    """What is measured in the label's unit: `MAE (years)`."""
    return f"{what} ({plain(evidence.unit)})" if evidence.unit else what


def style(place: int) -> tuple[str, str]:
    """Colour and marker of a series, by its place."""
    return COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def rows_of_intervals(series: Mapping[str, Mapping[str, Interval]], axis: str, zero: bool = False) -> Figure:
    """Intervals of each named row, one below the other, apart by the series that they are of; `zero` is marked."""
    rows = [*dict.fromkeys(row for intervals in series.values() for row in intervals)]
    apart = np.linspace(-0.3, 0.3, len(series)) if len(series) > 1 else [0.0]
    figure = canvas(1.0 + len(rows) * max(0.3, 0.14 * len(series)), _NARROW_IN)
    axes = axes_of(figure)
    if zero:
        axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
    for place, (name, intervals) in enumerate(series.items()):
        colour, marker = style(place)
        at = [rows.index(row) + apart[place] for row in intervals]
        axes.hlines(at, [own.low for own in intervals.values()], [own.high for own in intervals.values()], color=colour)
        axes.plot([own.value for own in intervals.values()], at, marker, color=colour, markersize=5, label=plain(name))
    axes.set_yticks(range(len(rows)), [plain(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)
    return figure


def rows_of_dots(values: Mapping[str, Sequence[float]], axis: str) -> Figure:
    """The runs' values of each configuration, a row each, and a stroke at their mean."""
    figure = canvas(1.0 + 0.3 * len(values), _NARROW_IN)
    axes = axes_of(figure)
    for row, own in enumerate(values.values()):
        axes.plot([np.mean(own)] * 2, [row - 0.3, row + 0.3], color=COLOURS[0], linewidth=2)
        axes.plot(own, [row] * len(own), "o", color="white", markeredgecolor=INK, markersize=5)
    axes.set_yticks(range(len(values)), [plain(row) for row in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    return figure


def lines_over_epochs(axes: Axes, values: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Of each configuration the mean over runs after each epoch, and between which values they are."""
    for place, (name, by_epoch) in enumerate(values.items()):
        (colour, marker), epochs, runs = style(place), [*by_epoch], [*by_epoch.values()]
        axes.fill_between(epochs, [*map(min, runs)], [*map(max, runs)], color=colour, alpha=0.15, linewidth=0)
        axes.plot(epochs, [np.mean(own) for own in runs], color=colour, marker=marker, markersize=4, label=plain(name))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
