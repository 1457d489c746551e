"""A study's figure: its rows with their intervals, and what is published beside them."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.study import title_of
from contrasweep.trainers.drawing import COLOURS, DIM, FAINT, axes_of, canvas, plain
from contrasweep.trainers.objectives import OBJECTIVES

_ROW_IN, _BESIDE_IN, _WIDTH_IN = 0.27, 0.85, 7.2
_OURS, _THEIRS = COLOURS[0], COLOURS[1]


def draw(outcome: Outcome) -> Figure:
    """The first metric of every row, in the paper's order from above: ours on the left with 95 % intervals, published
    figures, where there are any, on the right, with one sd.
    """
    metric, names = outcome.metrics[0], [row.name for row in outcome.rows]
    published = any(metric in row.published for row in outcome.rows)
    figure = canvas(_BESIDE_IN + _ROW_IN * len(names), _WIDTH_IN)
    figure.set_layout_engine("constrained", wspace=0.06)
    ours = axes_of(figure, (1, 1 + published, 1))
    for place, row in enumerate(outcome.rows):
        if metric in row.ours:
            value = row.ours[metric].value
            ours.plot([value.low, value.high], [place, place], color=_OURS, linewidth=1.6, solid_capstyle="butt")
            ours.plot(value.value, place, "o", color=_OURS, markersize=5.5)
    title, unit = title_of(metric), f" ({plain(outcome.unit)})" if _has_unit(metric) else ""
    _arrange(ours, names, f"{title}{unit}, {plain(outcome.data)}", "Ours, 95 % interval")
    if published:
        theirs = axes_of(figure, (1, 2, 2))
        for place, row in enumerate(outcome.rows):
            if metric in row.published:
                one = row.published[metric]
                spread = [one.value - (one.sd or 0), one.value + (one.sd or 0)]
                theirs.plot(spread, [place, place], color=_THEIRS, linewidth=1.6, solid_capstyle="butt")
                theirs.plot(one.value, place, "s", color=_THEIRS, markersize=5, markerfacecolor="white")
        datasets = dict.fromkeys(one.dataset for row in outcome.rows for one in row.published.values())
        _arrange(theirs, names, f"{title}, {plain(', '.join(datasets))}", "Published, one sd")
        theirs.set_yticklabels([])
    return figure


def _has_unit(metric: str) -> bool:
    figure = metric.rpartition(".")[2]
    return figure in OBJECTIVES and OBJECTIVES[figure].power == 1


def _arrange(axes: Axes, names: Sequence[str], below: str, above: str) -> None:
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(below, fontsize=9)
    axes.set_title(above, loc="left", fontsize=9.5, color=DIM)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
