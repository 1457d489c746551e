"""Sweeps side by side as one HTML page that needs nothing beside itself."""

import math
import time

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from contrasweep.services.pages.drawing import inline
from contrasweep.services.pages.templates import pages
from contrasweep.services.records.answers import Comparison
from contrasweep.services.screen.comparison import doubts, fields_table, standings_table
from contrasweep.services.text import moment
from contrasweep.trainers.drawing import COLOURS, FAINT, axes_of, canvas, plain
from contrasweep.trainers.objectives import OBJECTIVES

_TEMPLATE = "comparison.html"


def render(comparison: Comparison) -> str:
    """The page's text."""
    return (
        pages()
        .get_template(_TEMPLATE)
        .render(
            sweeps=[one.sweep for one in comparison.sweeps],
            now=moment(time.time()),
            fields=fields_table(comparison),
            standings=standings_table(comparison),
            doubts=doubts(comparison),
            progress=inline(best_so_far(comparison), "What was the best so far, of each sweep"),
        )
    )


def best_so_far(comparison: Comparison) -> Figure:
    """What the best complete configuration reached, against configurations and against epochs spent."""
    figure = canvas(4.0)
    for place, title in enumerate(("configurations", "epochs spent"), start=1):
        axes = axes_of(figure, (1, 2, place))
        for number, one in enumerate(comparison.sweeps):
            best = [math.nan if value is None else value for value in one.progress.best]
            reached = range(1, len(best) + 1) if place == 1 else one.progress.epochs
            axes.step(
                reached,
                best,
                where="post",
                color=COLOURS[number % len(COLOURS)],
                label=plain(one.sweep.id),
                linewidth=2,
            )
        axes.set_xlabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
    headings = dict.fromkeys(OBJECTIVES[one.sweep.objective[0]].heading for one in comparison.sweeps)
    figure.axes[0].set_ylabel(" or ".join(headings))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False)
    return figure
