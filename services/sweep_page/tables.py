"""What the page shows as tables."""

from collections.abc import Sequence
from statistics import fmean, median

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.records.answers import Ensembled, Figures, Trial
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.leaderboard import competes, told
from contrasweep.services.records.trial_record import FAILED, TrialRecord
from contrasweep.services.screen.tables import FRESH, further, shown_state
from contrasweep.services.screen.words import simple_models
from contrasweep.services.sweep_page.content import Content
from contrasweep.services.sweep_page.cost import plan_of, saved_by
from contrasweep.services.sweep_page.intervals import mean_interval
from contrasweep.services.sweep_page.parameters import by_method, searched, values
from contrasweep.services.text import (
    duration,
    ends,
    interval,
    moment,
    number,
    over_seeds,
    parameter,
    read_times,
    spread,
)
from contrasweep.trainers.history import COMPLETE, PRUNED
from contrasweep.trainers.objectives import OBJECTIVES


def leaderboard_table(content: Content) -> Table:
    """Every configuration, the best first."""
    names = {
        method: [one.name for one in searched(method, records, content.distributions)]
        for method, records in by_method(content).items()
    }
    lines = [
        _ranked(content, rank, record, trial, names[record.configuration.method])
        for rank, (record, trial) in enumerate(zip(content.records, told(content.records), strict=True), start=1)
    ]
    first, *others = (OBJECTIVES[name].heading for name in content.spec.search.objective)
    more = [*others, "front"] if others else []
    titles = ("rank", "trial", "method", first, "95 % interval", *more, runs_of(content), "state", "parameters")
    figures = frozenset({0, 1, *range(3, 6 + len(more))})
    return Table("Configurations, the best first", titles, tuple(lines), head=1, figures=figures)


def runs_of(content: Content) -> str:
    """What the runs of a configuration are called."""
    return "runs" if content.plan.folds else "seeds"


def methods_table(content: Content) -> Table:
    """How the configurations of each method came out."""
    lines = []
    for method, records in by_method(content).items():
        states = [record.state for record in records]
        whole = sorted(record.objective for record in records if competes(record))
        counts = (len(records), *(states.count(state) for state in (COMPLETE, PRUNED, FAILED)))
        turned = content.objective.turned
        best = (number(turned(whole[0])), number(turned(median(whole)))) if whole else ("–", "–")
        lines.append((whole[:1] or [float("inf")], Line((method, *map(str, counts), *best))))
    ordered = tuple(line for _, line in sorted(lines, key=lambda pair: pair[0]))
    title = content.objective.title
    titles = ("method", "configurations", "complete", "pruned", "failed", f"best {title}", f"median {title}")
    return Table("Methods, the best first", titles, ordered, figures=frozenset(range(1, 7)))


def figures_table(title: str, evaluated: Figures) -> Table:
    """Figures of the final evaluation with their intervals, and what the baselines reach beside it."""
    lines = [Line((title_of(name), number(m.value), ends(m.low, m.high))) for name, m in evaluated.metrics.items()]
    for one in simple_models(evaluated):
        read = f" ({one.note})" if one.note else ""
        lines += [Line((f"MAE of {one.title}{read}", number(one.mae.value), ends(one.mae.low, one.mae.high)))]
    if evaluated.against:
        less, difference = evaluated.against.title, evaluated.against.difference
        lines += [Line((f"MAE less that of {less}", number(difference.value), ends(difference.low, difference.high)))]
    lines += [
        Line((f"MAE of labels with {_many(name)} training subjects", number(value), ""))
        for name, value in evaluated.shot_mae.items()
        if len(evaluated.shot_mae) > 1
    ]
    if isinstance(evaluated, FinalReport):
        lines += [Line(("the test split was", read_times(evaluated.looks), ""))]
    return Table(title, ("figure", "value", "95 % interval"), tuple(lines), figures=frozenset({1, 2}))


def runs_table(evaluated: Figures) -> Table:
    """What each run of the final evaluation reaches alone; of one run nothing."""
    lines = [Line((run.words, number(value))) for run, value in evaluated.seed_mae.items()]
    lines += [Line(("mean ± sd", spread(evaluated.mean, evaluated.sd)))]
    several = lines if len(evaluated.seed_mae) > 1 else ()
    return Table("MAE of each run alone", ("run", "MAE"), tuple(several), figures=frozenset({1}))


def title_of(figure: str) -> str:
    """What a figure is called, whose name is a metric's or its own."""
    return OBJECTIVES[figure].title if figure in OBJECTIVES else figure


def table_on_test(content: Content) -> Table:
    """Complete configurations on the test split, the best there first; beside each its rank by validation."""
    best = content.final.trial if content.final else None
    ranks = {
        record.number: (rank, record)
        for rank, record in enumerate(content.records, start=1)
        if record.state == COMPLETE or record.number == best  # of others some runs may be in an ensemble
    }
    lines = []
    for one in (one for one in content.tested if one.trial in ranks):
        rank, record = ranks[one.trial]
        alone = spread(fmean(one.run_mae.values()), one.sd)
        cells = (str(one.trial), record.configuration.method, number(one.mae), alone, number(record.score), str(rank))
        lines.append(Line(cells, "best" if one.trial == best else ""))
    titles = ("trial", "method", "test MAE", "of each run alone", content.objective.heading, "rank by validation")
    caption = "Complete configurations by the MAE of their runs' mean prediction on the test split: not for choosing"
    return Table(caption, titles, tuple(lines), figures=frozenset({0, 2, 3, 4, 5}))


def beside_table(ensemble: Ensembled, trial: int) -> Table:
    """The ensemble beside the best configuration, which is `trial`."""
    parts = {"test split": ensemble.test, "validation, by which it was chosen": ensemble.validation}
    lines = [Line((name, *map(interval, (one.ensemble, one.alone, one.difference)))) for name, one in parts.items()]
    titles = ("MAE on", "ensemble", f"trial {trial} alone", "difference, paired")
    caption = f"The ensemble and trial {trial} alone, with 95 % intervals"
    return Table(caption, titles, tuple(lines), figures=frozenset({1, 2, 3}))


def seeds_table(ensemble: Ensembled) -> Table:
    """What the ensemble is made of."""
    lines = [
        Line((run.words, ensemble.methods[run.trial] if run.trial is not None else "", f"{weight:.3f}"))
        for run, weight in ensemble.weights.items()
    ]
    return Table(
        "Seeds of the ensemble, the heaviest first", ("seed", "method", "weight"), tuple(lines), figures=frozenset({2})
    )


def winner_table(final: FinalReport) -> Table:
    """The configuration that was evaluated."""
    start = {"start": final.start} if final.start else {}
    made = final.params | final.training | final.choices | start
    lines = [Line((name, parameter(value))) for name, value in made.items()]
    return Table(f"Trial {final.trial}, {final.method}", ("parameter", "value"), tuple(lines), figures=frozenset({1}))


def pruned_table(content: Content) -> Table:
    """What was stopped, how far it got, why, and what that saved; what got furthest first."""
    lines = []
    for record in content.records:
        if record.state == PRUNED:
            saved = saved_by(content, record)
            done = plan_of(content, record).epochs - saved.epochs
            figures = (str(done), str(saved.epochs), duration(saved.hours), number(record.score))
            lines.append(Line((str(record.number), record.configuration.method, *figures, content.told(record.reason))))
    titles = (
        "trial",
        "method",
        "epochs run",
        "epochs saved",
        "time saved",
        f"{content.objective.title} reached",
        "reason",
    )
    return Table("Configurations that racing stopped", titles, tuple(lines), figures=frozenset({0, 2, 3, 4, 5}))


def failures_table(content: Content) -> Table:
    """What failed, and why."""
    failed = [record for record in content.records if record.failure]
    lines = [Line((str(r.number), r.configuration.method, content.told(r.failure)), FAILED) for r in failed]
    return Table("Configurations that failed", ("trial", "method", "reason"), tuple(lines), figures=frozenset({0}))


def drivers_table(content: Content) -> Table:
    """Every process that drove the sweep."""
    lines = [
        Line((str(d.attempt), moment(d.began), d.user or "–", d.digests.get("code", "")[:12])) for d in content.drivers
    ]
    return Table("Drivers", ("attempt", "began", "user", "code"), tuple(lines), figures=frozenset({0}))


def _ranked(content: Content, rank: int, record: TrialRecord, trial: Trial, names: Sequence[str]) -> Line:
    state, whole, given = record.state, record.scores, values(record)
    chosen = content.final is not None and content.final.trial == record.number
    evaluated = content.final is not None and record.number in content.final.trials
    return Line(
        (
            str(rank),
            str(record.number),
            record.configuration.method,
            over_seeds(trial.objective, trial.sd, len(whole)),
            _interval(list(whole.values())),
            *further(trial),
            f"{len(record.whole)}/{len(content.plan.replicates)}" + FRESH * record.is_fresh,
            shown_state(trial) + (", evaluated" if evaluated else ""),
            " · ".join(f"{name} {parameter(given[name])}" for name in (*names, "start") if name in given),
        ),
        "best" if chosen else PRUNED if trial.infeasible else state,
    )


def _interval(whole: Sequence[float]) -> str:
    if len(whole) < 2:
        return ""
    _, low, high = mean_interval(whole)
    return ends(low, high)


def _many(shot: str) -> str:
    return {"medium": "a medium number of"}.get(shot, shot)
