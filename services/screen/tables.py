"""What is printed of a sweep: how it stands, its leaderboard, its final figure; the same wherever it runs."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean

import rich.table
from rich.console import Console
from rich.segment import Segments
from rich.text import Text

from contrasweep.search_spaces import Value
from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.records.answers import Figures, Final, OuterFold, Planned, Pooled, SampleFigures, Sweep, Trial
from contrasweep.services.records.leaderboard import told
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.screen.words import (
    ensemble_words,
    optimism,
    runs_words,
    simple_models,
    undelivered_words,
    verdict,
)
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import FIRST_REPORTED, Extent
from contrasweep.services.text import (
    count,
    duration,
    interval,
    moment,
    number,
    over_seeds,
    parameter,
    read_times,
    spread,
)
from contrasweep.trainers.history import RUNNING
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES, Objective

SHORT = {"temperature": "tau", "nn_step_size": "step", "distance": "dist", "weight_decay": "decay"}
"""Parameters by the names that the leaderboard's columns have."""
WIDEST = 10_000
MOST_TIED = 10
_NOTABLE_HOURS, _NOTABLE_SHARE = 0.1, 0.02
"""What is told apart of a plan's time takes at least as long, and as much of it."""

FRESH = " fresh"
"""Behind the number of runs, where they are of seeds that no race used."""
OUTER_DOUBT = "best is of the validation split, by which each winner was chosen, and so too good; test MAE is not"
SHOWN_STATES = {RUNNING: "unfinished"}


def leaderboard_table(trials: Sequence[Trial], runs: int) -> Table:
    """Configurations as they come, the best first: mean and standard deviation over whole runs out of `runs`, the means
    of further objectives and the Pareto front, where there are several, and the parameters that differ.

    A figure in brackets is of runs that were cut short.
    """
    names = _varying(sorted(trials, key=lambda trial: trial.number))
    shown = (SHORT.get(name, name) for name in names)
    headings = [one.heading for one in objectives_of(trials)]
    front = ["front"] if len(headings) > 1 else []
    return Table(
        "Configurations, the best first",
        ("rank", "trial", "method", *headings, *front, _counted(trials), "state", *shown),
        tuple(_ranked(rank, trial, runs, names) for rank, trial in enumerate(trials, start=1)),
        figures=frozenset({0, 1, *range(3, 4 + len(headings) + len(front))}),
    )


def objectives_of(trials: Sequence[Trial]) -> list[Objective]:
    """What configurations are compared by, the first foremost."""
    return [OBJECTIVES[name] for name in (trials[0].objectives if trials else ()) or (DEFAULT,)]


def further(trial: Trial) -> list[str]:
    """What a configuration has of further objectives, and its Pareto front, where there are several."""
    _, *others = trial.objectives.values() or [None]
    return [*map(number, others), str(trial.front or "–")] if others else []


def shown_state(trial: Trial) -> str:
    """How a configuration stands, in a word."""
    return "infeasible" if trial.infeasible else SHOWN_STATES.get(trial.state, trial.state)


def _counted(trials: Sequence[Trial]) -> str:
    """What the runs of a configuration are called."""
    return "runs" if any(run.fold is not None for trial in trials for run in trial.epochs) else "seeds"


def _ranked(rank: int, trial: Trial, runs: int, names: Sequence[str]) -> Line:
    return Line(
        (
            str(rank),
            str(trial.number),
            trial.method,
            over_seeds(trial.objective, trial.sd, len(trial.seeds)),
            *further(trial),
            f"{len(trial.seeds)}/{runs}" + FRESH * trial.fresh,
            shown_state(trial),
            *(parameter(trial.params[name]) if name in trial.params else "" for name in names),
        )
    )


def leaderboard_text(records: Sequence[TrialRecord], runs: int) -> str:
    """The leaderboard as plain text."""
    return plain_text(lambda console: print_table(console, leaderboard_table(told(records), runs)))


def plain_text(show: Callable[[Console], None]) -> str:
    """What `show` prints, as text: in a notebook, too, where a console would display it whatever its file."""
    written = io.StringIO()
    show(Console(file=written, color_system=None, highlight=False, force_jupyter=False))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def print_table(console: Console, table: Table) -> None:
    """Print `table` as wide as it is: neither a narrow terminal nor a pipe cuts or squeezes it."""
    drawn = rich.table.Table(box=None, header_style="bold", pad_edge=False)
    for column, title in enumerate(table.titles):
        drawn.add_column(Text(title), no_wrap=True, justify="right" if column in table.figures else "left")
    for line in table.lines:
        drawn.add_row(*map(Text, line.cells))
    segments = console.render(drawn, console.options.update(max_width=WIDEST))
    console.print(Segments(segments), crop=False)
    if table.more:
        console.print(f"... and {table.more:,} more")


def print_leaderboard(console: Console, trials: Sequence[Trial], runs: int) -> None:
    """Print the leaderboard, and why configurations failed."""
    if not trials:
        console.print("no configuration has begun yet")
        return
    print_table(console, leaderboard_table(trials, runs))
    for line in doubts(trials):
        console.print(line, soft_wrap=True, markup=False)
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "failed":
            console.print(f"trial {trial.number} failed: {trial.reason}", soft_wrap=True, markup=False)


def doubts(trials: Sequence[Trial]) -> list[str]:
    """By what configurations are ranked, and which cannot be told from the best, once there is one; and which break
    bounds.

    `trials` come the best first.
    """
    tied, (first, *others) = [trial.number for trial in trials if trial.tied], objectives_of(trials)
    bounds = [f"trial {trial.number} is infeasible: {trial.infeasible}" for trial in trials if trial.infeasible]
    if not tied:
        return bounds
    front = f"Pareto front of {' and '.join(one.title for one in (first, *others))}, then by " if others else ""
    lines = [f"ranked by {front}{first.title} on the validation split, each run by the model that it keeps"]
    if trials[0].fresh:
        own = f"; the best one's figure is of {seeds_of(trials[0].seeds, fresh=True)}"
        lines.append(f"finalists come first, by seeds that no race used{own if trials[0].reported else ''}")
    if len(tied) > 1:
        more = " and more" if len(tied) > MOST_TIED + 1 else ""
        alike = ", ".join(map(str, tied[1 : MOST_TIED + 1])) + more
        lines.append(f"trial {tied[0]} cannot be told from {alike} (95 %, compared run by run)")
    return lines + bounds


def seeds_of(runs: Iterable[Replicate], fresh: bool = False) -> str:
    """`seeds 2000, 2001, which nothing was chosen by`: those of runs, and, where they are `fresh`, what that means."""
    seeds = sorted({run.seed for run in runs})
    unused = "nothing was chosen by" if min(seeds) >= FIRST_REPORTED else "no race used"
    return f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}{f', which {unused}' if fresh else ''}"


def print_plan(console: Console, planned: Planned) -> None:
    """Print what a sweep would take."""
    from contrasweep.services.cluster.places import RESERVED_CPUS

    feed = "resident" if planned.feed == "resident" else "streamed"
    folds = f" x {planned.folds} folds" if planned.folds else ""
    outer = f" x {planned.outer} outer folds" if planned.outer else ""
    many = planned.trials * planned.seeds * max(planned.folds, 1) * max(planned.outer, 1)
    fewest = f"{planned.fewest_epochs} to " if 0 < planned.fewest_epochs < planned.epochs else ""
    runs = f"{many} runs of {fewest}{planned.epochs} epochs"
    runs += f", then {planned.fresh} of finalists and the winner with fresh seeds" if planned.fresh else ""
    runs += f", then {planned.refits} of the best on all but the test split" if planned.refits else ""
    workers = f"{planned.workers} x {planned.cpus_per_worker} CPUs, {planned.gpus_per_worker:g} GPUs"
    nodes = f"{count(planned.nodes, 'node')} with {planned.cpus:g} CPUs, {planned.gpus:g} GPUs"
    volumes = f"{planned.subjects} volumes {list(planned.image_shape)}, {planned.decoded_gb:.2g} GB decoded"
    unlabelled = f", and {planned.unlabelled} without a label" if planned.unlabelled else ""
    untrained = f"; data.train leaves out {planned.untrained}" if planned.untrained else ""
    external = f"{count(planned.external, 'volume')}, for the end alone" if planned.external else ""
    learned = f"{count(len(planned.learned), 'sweep')}, {count(sum(planned.learned.values()), 'configuration')}"
    rows = {
        "start": planned.start,
        "sweep": f"{planned.id} on {nodes}",
        "data": f"{volumes}, {feed}; {planned.train} to train on{unlabelled}{untrained}",
        "external": external,
        "runs": f"{planned.trials} configurations x {planned.seeds} seeds{folds}{outer} = {runs}",
        "methods": ", ".join(f"{name} {number}" for name, number in planned.methods.items()),
        "learns": f"from {learned}" if planned.learned else "",
        "racing": planned.racing,
        "there": f"at least {count(planned.there, 'run')}, trained by other sweeps" if planned.there else "",
        "each": f"{workers}; about {planned.epoch_s:.2g} s an epoch with one worker{_where(planned)}",
        "final": f"an ensemble of at most {count(planned.ensemble, 'seed')}" if planned.ensemble else "",
        "at once": f"{planned.concurrent} configurations; {RESERVED_CPUS} CPU more for drivers and reading",
        "time": f"about {duration(planned.hours)}{_of_gpus(planned)} if racing stops nothing",
        "end": _end(planned),
        "disk": f"about {planned.disk_gb:.2g} GB",
    }
    for title, text in rows.items():
        if text:
            console.print(f"{title:8} {text}", soft_wrap=True, markup=False)
        for options, read in planned.read.items() if title == "data" else ():
            words = f"{options}: {list(read.image_shape)}, {read.train} to train on"
            console.print(f"{'':8} {words}", soft_wrap=True, markup=False)
    if planned.budget_hours and planned.hours > planned.budget_hours:
        console.print(f"the budget of {planned.budget_hours:g} h ends it before that")


def _where(planned: Planned) -> str:
    if not planned.reckoned_tflops:
        return " on this machine"
    return f", reckoned for a GPU that does {planned.reckoned_tflops:g} TFLOPS, as this machine has none"


def _of_gpus(planned: Planned) -> str:
    return f", {planned.gpu_hours:.3g} GPU-hours," if planned.gpu_hours else ""


def _end(planned: Planned) -> str:
    """What predicting the test split takes, where that is much."""
    if planned.test_hours < max(_NOTABLE_HOURS, _NOTABLE_SHARE * planned.hours):
        return ""
    return f"about {duration(planned.test_hours)} more, as every run predicts the test split, one after the other"


def outer_table(sweep: Sweep) -> Table:
    """The search in each outer fold that has begun: how far it is, and, once all have ended, who won it."""
    won = {fold.id: fold for fold in sweep.final.outer} if isinstance(sweep.final, Pooled) else {}
    titles = ("outer fold", "state", "trials", "best", "test MAE", "trial", "method", "tested on")
    lines = tuple(_searched(search, won.get(search.id)) for search in sweep.searches)
    return Table("Outer folds", titles, lines, figures=frozenset({2, 3, 4, 5}))


def _searched(search: Sweep, won: OuterFold | None) -> Line:
    winner = (str(won.trial), won.method, won.sample) if won else ("", "", "")
    reached = f"{search.ended}/{search.trials}"
    return Line((search.id, search.state, reached, number(search.best), number(search.test_mae), *winner))


def print_configurations(console: Console, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print a sweep's leaderboard, or, with outer folds, how the search in each stands."""
    if not sweep.searches:
        print_leaderboard(console, trials, sweep.runs)
        return
    print_table(console, outer_table(sweep))
    if isinstance(sweep.final, Pooled) and not all(fold.fresh for fold in sweep.final.outer):
        console.print(OUTER_DOUBT, soft_wrap=True)
    console.print(f"contrasweep trials {sweep.searches[0].id} shows the leaderboard of one", soft_wrap=True)


def print_final(console: Console, label: str, final: Final | Pooled) -> None:
    """Print the figures of the chosen configuration on the test split and external cohorts, or of outer folds."""
    if isinstance(final, Pooled):
        _print_pooled(console, label, final)
        return
    _print_figures(console, "final     test MAE", label, final)
    if final.out_of_fold:
        _print_figures(console, "          out-of-fold MAE", label, final.out_of_fold)
    for name, cohort in final.external.items():
        _print_figures(console, f"external  {name} MAE", label, cohort)
    refit = f"trained for {count(final.refit_epochs, 'epoch')} on all but the test split" if final.refit_epochs else ""
    for line in ensemble_words(final.ensemble, final.trial, label) if final.ensemble else ():
        console.print(f"          {line}", soft_wrap=True, markup=False)
    words = (
        f"trial {final.trial}, {final.method}",
        *(_validated(final) if final.validation else []),
        *([refit] if refit else []),
        f"test split {read_times(final.looks)}",
        "dashboard: contrasweep ui",
    )
    console.print(f"          {'; '.join(words)}", soft_wrap=True)
    _print_verdict(console, label, final)


def _validated(final: Final) -> list[str]:
    """`validation MAE 5.210 over seeds 2000, 2001`: what it reached, and why that is too good where it is."""
    mean = number(fmean(final.validation.values()))
    reached = f"{OBJECTIVES[final.objective].heading} {mean} over {seeds_of(final.validation, final.fresh)}"
    doubt = optimism(fresh=final.fresh, configurations=final.configurations)
    return [reached, *([doubt] if doubt else [])]


def _print_verdict(console: Console, label: str, figures: Figures) -> None:
    """Print whether the model is better than the best baseline, as the last line."""
    if figures.against:
        console.print(f"          {verdict(figures.against, label)}", soft_wrap=True, markup=False)


def _print_pooled(console: Console, label: str, pooled: Pooled) -> None:
    _print_figures(console, "final     test MAE", label, pooled)
    spreads = (f"{name} {spread(told.mean, told.sd)}" for name, told in pooled.between.items())
    winners = Counter(fold.method for fold in pooled.outer)
    won = ", ".join(f"{method} in {many}" for method, many in winners.most_common())
    words = (f"over {len(pooled.outer)} outer folds {' · '.join(spreads)}", f"won: {won}")
    for text in (*words, "everyone is predicted by the search that never saw them"):
        console.print(f"          {text}", soft_wrap=True, markup=False)
    _print_verdict(console, label, pooled)


def _print_figures(console: Console, title: str, label: str, figures: SampleFigures) -> None:
    """Print figures with their intervals, beside those of the baselines."""
    console.print(
        f"{title} {interval(figures.metrics['mae'])} {label} over {figures.sample}, {runs_words(figures)}",
        soft_wrap=True,
        markup=False,
    )
    simple = (f"{one.title} {number(one.mae.value)}" for one in simple_models(figures))
    console.print(f"          baselines: {' · '.join(simple)}", soft_wrap=True, markup=False)
    others = (f"{name} {interval(figure)}" for name, figure in figures.metrics.items() if name != "mae")
    console.print(f"          {' · '.join(others)}", soft_wrap=True, markup=False)
    if figures.shot_mae:
        shots = (f"{name} {number(value)}" for name, value in figures.shot_mae.items())
        console.print(f"          MAE by training subjects near a label: {' · '.join(shots)}", soft_wrap=True)


def print_sweep(console: Console, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print a sweep's leaderboard or outer folds, its final figure where it has one, and what its budget cut off."""
    print_configurations(console, sweep, trials)
    if sweep.final:
        print_final(console, sweep.unit or sweep.label, sweep.final)
    if sweep.undelivered:
        console.print(f"mlflow    {undelivered_words(sweep.id)}", soft_wrap=True, markup=False)
    if sweep.unfinished:
        console.print(sweep.reason, soft_wrap=True, markup=False)


def print_page(console: Console, page: Path) -> None:
    """Print where a sweep's HTML report is."""
    console.print(f"report    {page}", soft_wrap=True, markup=False)


def print_status(console: Console, sweep: Sweep, trials: Sequence[Trial]) -> None:
    """Print how a sweep stands, and its leaderboard so far."""
    place = f"{sweep.position} in the queue" if sweep.position else ""
    words = [
        sweep.id,
        sweep.state,
        duration(sweep.spent_s / 3600),
        sweep.user,
        place,
        "" if sweep.unfinished else sweep.reason,
    ]
    console.print("  ".join(word for word in words if word), soft_wrap=True, markup=False)
    if sweep.phases:
        spaces = sweep.extent.spaces if sweep.extent else ()
        reached = ", ".join(_reached(phase, spaces) for phase in sweep.phases)
        console.print(f"extended  after {reached}", soft_wrap=True, markup=False)
    print_sweep(console, sweep, trials)


def _reached(phase: Extent, spaces: Sequence[str]) -> str:
    """`30 x 3 seeds of simclr in 2 h`: how far a sweep went before it was extended, and of what, where it has others
    now, and the budget that it had.
    """
    of = f" of {' + '.join(phase.spaces)}" if phase.spaces and {*phase.spaces} != {*spaces} else ""
    within = f" in {phase.hours:g} h" if phase.hours else ""
    return f"{phase.trials} x {count(len(phase.seeds), 'seed')}{of}{within}"


def sweeps_table(sweeps: Sequence[Sweep]) -> Table:
    """All sweeps: id, state with the place in the queue, when each began, configurations ended, best objective; of
    what that is, where any has another than MAE, and whose each is, where that is known of any.
    """
    users, mixed = any(sweep.user for sweep in sweeps), any(sweep.objective != (DEFAULT,) for sweep in sweeps)
    titles = (
        "sweep",
        "state",
        "began",
        "trials",
        "best",
        *(["of"] if mixed else []),
        "label",
        *(["user"] if users else []),
    )
    lines = tuple(_listed(sweep, users, mixed) for sweep in sweeps)
    return Table("Sweeps", titles, lines, figures=frozenset({3, 4}))


def _listed(sweep: Sweep, users: bool, mixed: bool) -> Line:
    return Line(
        (
            sweep.id,
            _stands(sweep),
            moment(sweep.started),
            f"{sweep.ended}/{sweep.configurations}",
            number(sweep.best),
            *([OBJECTIVES[sweep.objective[0]].title] if mixed else []),
            sweep.label,
            *([sweep.user] if users else []),
        )
    )


def _stands(sweep: Sweep) -> str:
    """Its state, with the place in the queue, how much its budget left unfinished, and that MLflow lacks some of it."""
    place = f" ({sweep.position})" if sweep.position else ""
    unfinished = f", {sweep.unfinished} unfinished" if sweep.unfinished else ""
    return f"{sweep.state}{place}{unfinished}{', not delivered' if sweep.undelivered else ''}"


def _varying(trials: Sequence[Trial]) -> list[str]:
    """Parameters that differ between configurations of one method, in the order in which the methods have them, and the
    point that any starts from.
    """
    seen: dict[str, dict[str, set[Value]]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            seen.setdefault(name, {}).setdefault(trial.method, set()).add(value)
    return [name for name, own in seen.items() if name == "start" or any(len(values) > 1 for values in own.values())]
