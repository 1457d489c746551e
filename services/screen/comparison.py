"""What is printed of sweeps side by side."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from math import ceil
from typing import Any

from rich.console import Console

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.records.answers import Compared, Comparison, Difference, Final, Progress, Standing, Sweep
from contrasweep.services.screen.tables import print_table, shown_state
from contrasweep.services.text import count, ends, interval, number, over_seeds, spread
from contrasweep.trainers.objectives import DEFAULT

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40
"""Columns of the longest search."""


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print what differs, the best of each sweep and of its methods, and how each search went on."""
    for table in (fields_table(comparison), standings_table(comparison), progress_table(comparison)):
        if table.lines:
            console.print(f"{table.caption}:", style="bold", soft_wrap=True)
            print_table(console, table)
            console.print()
    for line in doubts(comparison):
        console.print(line, soft_wrap=True, markup=False)


def fields_table(comparison: Comparison) -> Table:
    """What the specs say otherwise."""
    titles = ("field", *(one.sweep.id for one in comparison.sweeps))
    lines = (Line((field, *map(_value, values))) for field, values in comparison.fields.items())
    return Table("What the specs say otherwise", titles, tuple(lines))


def standings_table(comparison: Comparison) -> Table:
    """The best of each sweep, each method's best, and the final figures, with differences to the first sweep."""
    sweeps = comparison.sweeps
    methods = dict.fromkeys(method for one in sweeps for method in one.methods)
    lines = [_stood("the best", one.sweep, one.best) for one in sweeps if one.best]
    for method in methods:
        lines += [_stood(method, one.sweep, one.methods[method]) for one in sweeps if method in one.methods]
    lines += [_finally(one) for one in sweeps if one.sweep.final]
    titles = ("", "sweep", "trial", _figure(comparison), "runs", "state", "difference, paired")
    return Table(
        "The best on the validation split, and on the test split", titles, tuple(lines), figures=frozenset({2, 3, 4, 6})
    )


def progress_table(comparison: Comparison) -> Table:
    """The best objective so far, as bars of one scale for each label and objective."""
    sweeps = comparison.sweeps
    epochs = max((epoch for one in sweeps for epoch in one.progress.epochs), default=0)
    trials = max(len(one.progress.epochs) for one in sweeps)
    lines = []
    for one in sweeps:
        seen = [value for value in one.progress.best if value is not None]
        if seen:
            scale = _scale(one.sweep, sweeps)
            by_trial = _bars(range(1, len(one.progress.best) + 1), one.progress, trials, scale)
            by_epoch = _bars(one.progress.epochs, one.progress, epochs, scale)
            reached = f"{count(len(one.progress.best), 'trial')}, {count(one.progress.epochs[-1], 'epoch')}"
            lines.append(Line((one.sweep.id, by_trial, by_epoch, f"{number(seen[0])} to {number(seen[-1])}", reached)))
    titles = ("sweep", "by trials", "by epochs spent", f"validation {_figure(comparison)}", "over")
    return Table("The best so far", titles, tuple(lines))


def doubts(comparison: Comparison) -> list[str]:
    """What cannot be paired, and what a difference says."""
    sweeps = comparison.sweeps
    first, *others = sweeps
    pairs = [(one.sweep.id, what, why) for one in others for what, why in one.apart.items()]
    lines = [f"{sweep} is not paired with {first.sweep.id} on the {what} split: {why}" for sweep, what, why in pairs]
    if any((one.best and one.best.difference) or one.test for one in others):
        lines.append(f"differences are to {first.sweep.id}: below 0 its figure is the larger one")
    chose = [one.sweep.id for one in sweeps if one.best and one.sweep.final and not one.best.trial.fresh]
    if chose:
        lines.append(f"the best on the validation split was chosen by it, and is too good: {', '.join(chose)}")
    return lines


def _figure(comparison: Comparison) -> str:
    """What the sweeps are compared by, where that is one thing and that of the test split, too."""
    return "MAE" if all(one.sweep.objective[0] == DEFAULT for one in comparison.sweeps) else "figure"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else number(None) if value is None else json.dumps(value)


def _stood(what: str, sweep: Sweep, standing: Standing) -> Line:
    trial = standing.trial
    return Line(
        (
            what,
            sweep.id,
            str(trial.number),
            over_seeds(trial.objective, trial.sd, len(trial.seeds)),
            f"{len(trial.seeds)}/{sweep.runs}",
            shown_state(trial),
            _difference(standing.difference, "run"),
        )
    )


def _finally(one: Compared) -> Line:
    final = one.sweep.final
    assert final
    told = (interval(final.metrics["mae"]), str(len(final.seed_mae)), "", _difference(one.test, "subject"))
    trial = ""  # each outer fold has a winner of its own
    if isinstance(final, Final):
        trial = "ensemble" if final.ensemble else str(final.trial)
    return Line(("test split", one.sweep.id, trial, *told))


def _difference(difference: Difference | None, pair: str) -> str:
    if difference is None:
        return ""
    if difference.mean is None:
        return "none in both"
    told = spread(difference.mean, difference.sd)
    if difference.low is not None:
        told = f"{number(difference.mean)} {ends(difference.low, difference.high)}"
    return f"{told} over {count(difference.pairs, pair)}"


def _scale(sweep: Sweep, sweeps: Sequence[Compared]) -> tuple[float, float]:
    alike = [o for o in sweeps if (o.sweep.label, o.sweep.objective[0]) == (sweep.label, sweep.objective[0])]
    values = [value for one in alike for value in one.progress.best if value is not None]
    return min(values), max(values)


def _bars(reached: Sequence[int], progress: Progress, longest: int, scale: tuple[float, float]) -> str:
    """The best so far at steps of `reached`, as wide as that is of the `longest`."""
    step = max(1.0, longest / WIDTH)
    places = (bisect_right(reached, column * step + 1e-9) - 1 for column in range(1, ceil(reached[-1] / step) + 1))
    return "".join(_bar(progress.best[place] if place >= 0 else None, *scale) for place in places)


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    return BARS[round((value - low) / (high - low) * (len(BARS) - 1))] if high > low else BARS[0]
