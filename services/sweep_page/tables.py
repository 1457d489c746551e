"""What the page shows as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from services.records.final_report import FinalReport
from services.records.trial_record import FAILED, TrialRecord
from services.sweep_page.content import Content
from services.sweep_page.cost import saved_by
from services.sweep_page.intervals import mean_interval
from services.sweep_page.parameters import by_method, searched, values
from services.sweep_page.words import duration, moment, number, spread
from trainers.history import COMPLETE, PRUNED, RUNNING

MOST_ROWS = 20

_METRICS = {"mae": "MAE", "mse": "MSE", "gm": "geometric mean error", "pearson": "Pearson's r", "r2": "R²"}
_STATES = {RUNNING: "unfinished"}


@dataclass(frozen=True)
class Row:
    """One line of a table; `kind` is its look: best, pruned, failed or running."""

    cells: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under titles; the row's header is the column `head`, and columns in `figures` are numbers.

    `shown` rows are in sight, `folded` ones behind a click.
    """

    caption: str
    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    head: int = 0
    figures: frozenset[int] = frozenset()

    @property
    def words_last(self) -> bool:
        """Whether the last column is text, which takes the room that is left."""
        return len(self.titles) - 1 not in self.figures

    @property
    def shown(self) -> tuple[Row, ...]:
        """The first rows."""
        return self.rows if len(self.rows) <= MOST_ROWS + 3 else self.rows[:MOST_ROWS]

    @property
    def folded(self) -> tuple[Row, ...]:
        """The rest of them."""
        return self.rows[len(self.shown) :]


def leaderboard_table(content: Content) -> Table:
    """Every configuration, the best first."""
    names = {
        method: [parameter.name for parameter in searched(method, records, content.distributions)]
        for method, records in by_method(content).items()
    }
    seeds = len(content.spec.search.seeds)
    rows = [
        _ranked(content, rank, record, names[record.configuration.method], seeds)
        for rank, record in enumerate(content.records, start=1)
    ]
    titles = ("rank", "trial", "method", "validation MAE", "95 % interval", "seeds", "state", "parameters")
    return Table("Configurations, the best first", titles, tuple(rows), head=1, figures=frozenset({0, 1, 3, 4, 5}))


def methods_table(content: Content) -> Table:
    """How the configurations of each method came out."""
    rows = []
    for method, records in by_method(content).items():
        states = [content.state_of(record) for record in records]
        whole = sorted(content.objective(r) for r, s in zip(records, states, strict=True) if s == COMPLETE)
        counts = (len(records), *(states.count(state) for state in (COMPLETE, PRUNED, FAILED)))
        best = (number(whole[0]), number(median(whole))) if whole else ("–", "–")
        rows.append((whole[:1] or [float("inf")], Row((method, *map(str, counts), *best))))
    ordered = tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))
    titles = ("method", "configurations", "complete", "pruned", "failed", "best MAE", "median MAE")
    return Table("Methods, the best first", titles, ordered, figures=frozenset(range(1, 7)))


def final_table(final: FinalReport) -> Table:
    """The test split's figures with their intervals."""
    rows = [
        Row((_METRICS.get(name, name), number(m.value), f"{number(m.low)} to {number(m.high)}"))
        for name, m in final.metrics.items()
    ]
    rows += [Row((f"MAE of seed {seed}", number(value), "")) for seed, value in final.seed_mae.items()]
    rows += [Row(("MAE of the seeds' mean prediction", number(final.ensemble_mae), ""))]
    rows += [
        Row((f"MAE of labels with {_many(name)} training subjects", number(value), ""))
        for name, value in final.shot_mae.items()
    ]
    rows += [Row(("MAE of predicting the training mean", number(final.baseline_mae), ""))]
    return Table("On the test split", ("figure", "value", "95 % interval"), tuple(rows), figures=frozenset({1, 2}))


def winner_table(final: FinalReport) -> Table:
    """The configuration that was evaluated."""
    rows = [Row((name, _value(value))) for name, value in (final.params | final.training).items()]
    return Table(f"Trial {final.trial}, {final.method}", ("parameter", "value"), tuple(rows), figures=frozenset({1}))


def pruned_table(content: Content) -> Table:
    """What was stopped, how far it got, why, and what that saved; what got furthest first."""
    rows = []
    for record in content.records:
        if content.state_of(record) == PRUNED:
            saved = saved_by(content, record)
            done = len(content.spec.search.seeds) * content.spec.plan.seed_epochs - saved.epochs
            figures = (str(done), str(saved.epochs), duration(saved.hours), number(content.objective(record)))
            rows.append(Row((str(record.number), record.configuration.method, *figures, content.told(record.reason))))
    titles = ("trial", "method", "epochs run", "epochs saved", "time saved", "MAE reached", "reason")
    return Table("Configurations that racing stopped", titles, tuple(rows), figures=frozenset({0, 2, 3, 4, 5}))


def failures_table(content: Content) -> Table:
    """What failed, and why."""
    failed = [record for record in content.records if record.failure]
    rows = [Row((str(r.number), r.configuration.method, content.told(r.failure)), FAILED) for r in failed]
    return Table("Configurations that failed", ("trial", "method", "reason"), tuple(rows), figures=frozenset({0}))


def drivers_table(content: Content) -> Table:
    """Every process that drove the sweep."""
    rows = [
        Row((str(d.attempt), moment(d.began), d.user or "–", d.digests.get("code", "")[:12])) for d in content.drivers
    ]
    return Table("Drivers", ("attempt", "began", "user", "code"), tuple(rows), figures=frozenset({0}))


def _ranked(content: Content, rank: int, record: TrialRecord, names: Sequence[str], seeds: int) -> Row:
    state, whole, given = content.state_of(record), content.values(record), values(record)
    chosen = content.final is not None and content.final.trial == record.number
    return Row(
        (
            str(rank),
            str(record.number),
            record.configuration.method,
            _reached(content, record),
            _interval(list(whole.values())),
            f"{len(whole)}/{seeds}",
            _STATES.get(state, state) + (", evaluated" if chosen else ""),
            " · ".join(f"{name} {_value(given[name])}" for name in names),
        ),
        "best" if chosen else state,
    )


def _reached(content: Content, record: TrialRecord) -> str:
    """Mean and sd over whole seeds; in brackets what seeds that were cut short reached."""
    whole, objective = content.values(record), content.objective(record)
    if not whole:
        return f"({number(objective)})" if objective < float("inf") else "–"
    sd = record.sd or 0.0
    return spread(objective, sd) if len(whole) > 1 else number(objective)


def _interval(whole: Sequence[float]) -> str:
    if len(whole) < 2:
        return ""
    _, low, high = mean_interval(whole)
    return f"{number(low)} to {number(high)}"


def _many(shot: str) -> str:
    return {"medium": "a medium number of"}.get(shot, shot)


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
