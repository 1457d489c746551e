"""What is printed of a sweep: how it stands, its leaderboard, its final figure; the same wherever it runs."""

import io
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from search_spaces import Value
from services.records.answers import Final, Planned, Sweep, Trial
from services.records.leaderboard import leaderboard
from services.records.trial_record import TrialRecord
from trainers.history import RUNNING

SHORT = {"temperature": "tau", "nn_step_size": "step", "distance": "dist", "weight_decay": "decay"}
"""Parameters by the names that the leaderboard's columns have."""
WIDEST = 10_000

SHOWN_STATES = {RUNNING: "unfinished"}


def leaderboard_table(trials: Sequence[Trial], seeds: int) -> Table:
    """Configurations as they come, the best first: mean and standard deviation over whole seeds out of `seeds`, and
    the parameters that differ.

    A figure in brackets is of seeds that were cut short.
    """
    names = _varying(sorted(trials, key=lambda trial: trial.number))
    table = _bare_table(
        "rank", "trial", "method", "validation MAE", "seeds", "state", *(SHORT.get(name, name) for name in names)
    )
    for rank, trial in enumerate(trials, start=1):
        table.add_row(
            str(rank),
            str(trial.number),
            trial.method,
            _figure(trial),
            f"{len(trial.seeds)}/{seeds}",
            SHOWN_STATES.get(trial.state, trial.state),
            *(_short(trial.params[name]) if name in trial.params else "" for name in names),
        )
    return table


def leaderboard_text(records: Sequence[TrialRecord], seeds: int) -> str:
    """The leaderboard as plain text."""
    console = Console(file=io.StringIO(), no_color=True)
    print_table(console, leaderboard_table([record.told() for record in leaderboard(records)], seeds))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def print_table(console: Console, table: Table) -> None:
    """Print `table` as wide as it is: neither a narrow terminal nor a pipe cuts or squeezes it."""
    segments = console.render(table, console.options.update(max_width=WIDEST))
    console.print(Segments(segments), crop=False)


def print_leaderboard(console: Console, trials: Sequence[Trial], seeds: int) -> None:
    """Print the leaderboard, and why configurations failed."""
    if not trials:
        console.print("no configuration has begun yet")
        return
    print_table(console, leaderboard_table(trials, seeds))
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "failed":
            console.print(f"trial {trial.number} failed: {trial.reason}", soft_wrap=True, markup=False)


def print_plan(console: Console, planned: Planned) -> None:
    """Print what a sweep would take."""
    from services.cluster.places import RESERVED_CPUS

    feed = "resident" if planned.feed == "resident" else "streamed"
    runs = planned.trials * planned.seeds
    workers = f"{planned.workers} x {planned.cpus_per_worker} CPUs, {planned.gpus_per_worker:g} GPUs"
    nodes = f"{planned.nodes} node(s) with {planned.cpus:g} CPUs, {planned.gpus:g} GPUs"
    volumes = f"{planned.subjects} volumes {list(planned.image_shape)}, {planned.decoded_gb:.2g} GB decoded"
    rows = {
        "start": planned.start,
        "sweep": f"{planned.id} on {nodes}",
        "data": f"{volumes}, {feed}; {planned.train} to train on",
        "runs": f"{planned.trials} configurations x {planned.seeds} seeds = {runs} runs of {planned.epochs} epochs",
        "each": f"{workers}; about {planned.epoch_s:.2g} s an epoch with one worker on this CPU",
        "at once": f"{planned.concurrent} configurations; {RESERVED_CPUS} CPU more for drivers and reading",
        "time": f"about {planned.hours:.2g} h if racing stops nothing",
        "disk": f"about {planned.disk_gb:.2g} GB",
    }
    for title, text in rows.items():
        if text:
            console.print(f"{title:8} {text}", soft_wrap=True, markup=False)
    if planned.budget_hours and planned.hours > planned.budget_hours:
        console.print(f"the budget of {planned.budget_hours:g} h ends it before that")


def print_final(console: Console, label: str, final: Final) -> None:
    """Print the test figures of the chosen configuration, with intervals, beside predict-the-mean."""
    spread = f"mean of {len(final.seed_mae)} seeds (sd {final.sd:.3f})"
    console.print(
        f"final     test MAE {_interval(final, 'mae')} {label} over {final.sample}, {spread}, "
        f"{final.ensemble_mae:.3f} for their mean prediction; predict-the-mean {final.baseline_mae:.3f}",
        soft_wrap=True,
        markup=False,
    )
    others = (f"{name} {_interval(final, name)}" for name in final.metrics if name != "mae")
    console.print(f"          {' · '.join(others)}", soft_wrap=True, markup=False)
    if final.shot_mae:
        shots = (f"{name} {value:.3f}" for name, value in final.shot_mae.items())
        console.print(f"          MAE by training subjects near a label: {' · '.join(shots)}", soft_wrap=True)
    console.print(f"          trial {final.trial}, {final.method}; dashboard: contrasweep ui", soft_wrap=True)


def print_sweep(console: Console, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print a sweep's leaderboard, and its final figure where it has one."""
    print_leaderboard(console, trials, sweep.seeds)
    if sweep.final:
        print_final(console, sweep.label, sweep.final)


def print_page(console: Console, page: Path) -> None:
    """Print where a sweep's HTML report is."""
    console.print(f"report    {page}", soft_wrap=True, markup=False)


def print_status(console: Console, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print how a sweep stands, and its leaderboard so far."""
    place = f"{sweep.position} in the queue" if sweep.position else ""
    words = [sweep.id, sweep.state, f"{sweep.spent_s:.0f} s", sweep.user, place, sweep.reason]
    console.print("  ".join(word for word in words if word), soft_wrap=True, markup=False)
    print_sweep(console, sweep, trials)


def sweeps_table(sweeps: Sequence[Sweep]) -> Table:
    """All sweeps: id, state with the place in the queue, when each began, configurations ended, best objective; and
    whose each is, where that is known of any.
    """
    users = any(sweep.user for sweep in sweeps)
    table = _bare_table("sweep", "state", "began", "trials", "best", "label", *(["user"] if users else []))
    for sweep in sweeps:
        table.add_row(
            sweep.id,
            f"{sweep.state} ({sweep.position})" if sweep.position else sweep.state,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(sweep.started)) if sweep.started else "",
            f"{sweep.ended}/{sweep.trials}",
            f"{sweep.best:.3f}" if sweep.best is not None else "",
            sweep.label,
            *([sweep.user] if users else []),
        )
    return table


def _interval(final: Final, name: str) -> str:
    figure = final.metrics[name]
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _bare_table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(Text(title), no_wrap=True)
    return table


def _varying(trials: Sequence[Trial]) -> list[str]:
    """Parameters that differ between configurations of one method, in the order in which the methods have them."""
    seen: dict[str, dict[str, set[Value]]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            seen.setdefault(name, {}).setdefault(trial.method, set()).add(value)
    return [name for name, by_method in seen.items() if any(len(values) > 1 for values in by_method.values())]


def _figure(trial: Trial) -> str:
    if trial.objective is None:
        return "-"
    if trial.sd is None:
        return f"({trial.objective:.3f})"
    return f"{trial.objective:.3f} ± {trial.sd:.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
