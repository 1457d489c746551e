"""The page's figures of configurations and seeds."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from contrasweep.services.records.leaderboard import fronts
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.sweep_page.content import Content
from contrasweep.services.sweep_page.importance import Importance
from contrasweep.services.sweep_page.intervals import mean_interval
from contrasweep.trainers.drawing import COLOURS, DIM, FAINT, INK, MARKERS, PALE, axes_of, canvas, colour_of, plain
from contrasweep.trainers.objectives import OBJECTIVES, Objective

MOST_ROWS = 15
MOST_CURVES = 5
_BACKGROUND = 150


def seed_spread(content: Content) -> Figure:
    """Each whole run of the best configurations, by its seed, and the mean with its 95 % interval."""
    shown = [record for record in content.records if record.values][:MOST_ROWS]
    plan, methods = content.plan, content.spec.search.spaces
    place_of = {seed: place for seeds in (plan.seeds, plan.fresh, plan.reported) for place, seed in enumerate(seeds)}
    figure = canvas(1.3 + 0.3 * len(shown))
    axes = axes_of(figure)
    for row, record in enumerate(shown):
        colour = colour_of(record.configuration.method, methods)
        values = record.scores
        mean, low, high = mean_interval(list(values.values()))
        axes.plot([low, high], [row, row], color=colour, alpha=0.35, linewidth=6, solid_capstyle="butt")
        axes.plot([mean, mean], [row - 0.32, row + 0.32], color=colour, linewidth=2)
        for run, value in values.items():
            axes.plot(value, row, _marker(place_of[run.seed]), color="white", markeredgecolor=INK, markersize=5.5)
    axes.set_yticks(range(len(shown)), [plain(_name(record)) for record in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel(error_axis(content))
    axes.set_xlim(*_around([value for record in shown for value in record.scores.values()]))
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    figure.legend(handles=_seed_keys(plan), loc="outside upper right", ncols=8, frameon=False, fontsize=8.5)
    return figure


def learning_curves(content: Content) -> Figure:
    """The objective by epoch: the best configurations, each run thin and their mean bold; all others grey."""
    curves = [(record, curves_of(record)) for record in content.records]
    shown = [(record, own) for record, own in curves if own][:MOST_CURVES]
    best = {record.number for record, _ in shown}
    figure = canvas(4.2)
    axes = axes_of(figure)
    others = [curve for record, own in curves if record.number not in best for curve in own]
    for curve in others[:_BACKGROUND]:  # as pixels: so many paths would make a heavy page
        axes.plot(*zip(*curve, strict=True), color=PALE, linewidth=0.8, alpha=0.7, rasterized=True)
    for place, (record, own) in enumerate(shown):
        colour = COLOURS[place]
        for curve in own:
            axes.plot(*zip(*curve, strict=True), color=colour, linewidth=0.9, alpha=0.45)
        mean, marker = _mean_curve(own), MARKERS[place]
        axes.plot(*zip(*mean, strict=True), color=colour, linewidth=2.4, label=plain(_name(record)))
        axes.plot(*mean[-1], marker, color=colour, markeredgecolor="white", markersize=7)
    _mark_rungs(axes, content)
    tuned = any(record.plan.earlier_epochs for record in content.records)
    axes.set_xlabel("epoch of fine-tuning" if tuned else "epoch")
    axes.set_ylabel(error_axis(content))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_ylim(*_seen([value for _, own in shown for curve in own for _, value in curve], content.objective))
    figure.legend(handles=_curve_keys(shown, bool(others)), loc="outside right upper", frameon=False, fontsize=8.5)
    return figure


def pareto(content: Content) -> Figure:
    """Complete configurations by the first objective against each further one; the front in colour, with numbers."""
    first, *others = (OBJECTIVES[name] for name in content.spec.search.objective)
    front = fronts(content.records)
    figure = canvas(3.6, 4.8 * len(others))
    for place, other in enumerate(others, start=1):
        axes = axes_of(figure, (1, len(others), place))
        for record in content.records:
            if record.number in front:
                _dot(axes, record, (first.name, other.name), content, on_front=front[record.number] == 1)
        axes.set_xlabel(error_axis(content))
        axes.set_ylabel(axis_of(other, content))
    return figure


def _dot(axes: Axes, record: TrialRecord, names: tuple[str, str], content: Content, *, on_front: bool) -> None:
    x, y = (record.objectives[name] for name in names)
    colour = colour_of(record.configuration.method, content.spec.search.spaces) if on_front else PALE
    axes.plot(x, y, "o", color=colour, markersize=7 if on_front else 5, zorder=3 if on_front else 2)
    if on_front:
        axes.annotate(str(record.number), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8.5, color=INK)


def importance_bars(found: Sequence[Importance], objective: Objective) -> Figure:
    """Shares of variance, method by method."""
    rows = [(one, name, share) for one in found for name, share in one.shares.items()]
    figure = canvas(0.8 + 0.3 * len(rows) + 0.4 * len(found), 6.6)
    axes = axes_of(figure)
    place, ticks = 0.0, []
    for one in found:
        axes.text(0.005, place, plain(one.method), fontsize=9.5, fontweight="bold", color=INK, va="center")
        place += 0.95
        for name, share in one.shares.items():
            axes.barh(place, share, height=0.62, color=COLOURS[0])
            axes.text(share + 0.01, place, f"{share:.0%}", va="center", fontsize=8.5, color=INK)
            ticks.append((place, plain(name)))
            place += 1
        place += 0.3
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.set(ylim=(place - 0.5, -0.7), xlim=(0, 1.08), xlabel=f"share of the variance of the {objective.heading}")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.tick_params(axis="y", length=0)
    return figure


def error_axis(content: Content) -> str:
    """The title of an axis of what configurations are compared by."""
    return axis_of(content.objective, content)


def axis_of(objective: Objective, content: Content) -> str:
    """The title of an axis of an objective, with its unit where it has one."""
    data = content.spec.data
    told = plain(data.unit) if data.unit else f"units of {plain(data.label)}"
    unit = ("", told, f"squared {told}")[objective.power]
    return f"{objective.heading} ({unit})" if unit else objective.heading


def _name(record: TrialRecord) -> str:
    return f"trial {record.number} · {record.configuration.method}"


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]


def _seed_keys(plan: SeedPlan) -> list[Line2D]:
    style = {"linestyle": "", "color": "white", "markeredgecolor": INK, "markersize": 5.5}
    together = (
        zip(plan.seeds, plan.fresh, plan.reported, strict=True) if plan.fresh else ((seed,) for seed in plan.seeds)
    )
    names = [f"seed {' or '.join(map(str, seeds))}" for seeds in together]
    shapes = [
        Line2D([], [], marker=_marker(place), label=name, **style)  # type: ignore[arg-type]
        for place, name in enumerate(names[: len(MARKERS)])
    ]
    return [*shapes, Line2D([], [], color=DIM, alpha=0.5, linewidth=6, label="mean, 95 % interval")]


def _curve_keys(shown: Sequence[tuple[TrialRecord, object]], others: bool) -> list[Line2D]:
    keys = [
        Line2D([], [], color=COLOURS[place], linewidth=2.4, marker=MARKERS[place], label=plain(_name(record)))
        for place, (record, _) in enumerate(shown)
    ]
    return keys + ([Line2D([], [], color=PALE, linewidth=1, label="all others")] if others else [])


def curves_of(record: TrialRecord) -> list[list[tuple[float, float]]]:
    """(epoch, objective) of each run that was ever evaluated."""
    rows, key = (history.epochs for history in record.histories.values()), record.plan.objective.key
    curves = ([(row["epoch"] + 1, row[key]) for row in run if math.isfinite(row.get(key, math.nan))] for run in rows)
    return [curve for curve in curves if curve]


def _mean_curve(curves: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean by epoch of the runs that got furthest: one cut short would put a step into it."""
    last = max(curve[-1][0] for curve in curves)
    furthest = [dict(curve) for curve in curves if curve[-1][0] == last]
    epochs = sorted(set().union(*furthest))
    return [(epoch, fmean(curve[epoch] for curve in furthest if epoch in curve)) for epoch in epochs]


def _mark_rungs(axes: Axes, content: Content) -> None:
    racing = content.spec.search.racing
    for rung in racing.rungs if racing else ():
        axes.axvline(rung, color=DIM, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
        axes.annotate(
            "rung", (rung, 1), xycoords=("data", "axes fraction"), xytext=(3, -2), textcoords="offset points",
            fontsize=8, color=DIM, va="top",
        )  # fmt: skip


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the values span: intervals over few seeds may be far wider, and are cut."""
    low, high = min(values), max(values)
    margin = 0.25 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _seen(values: Sequence[float], objective: Objective) -> tuple[float, float]:
    """What to show of an objective by epoch: all of the best, and not all of how badly training began."""
    ends = min(values), float(np.quantile(values, 0.98))
    if objective.higher:
        ends = float(np.quantile(values, 0.02)), max(values)
    low, high = ends
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
