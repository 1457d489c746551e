"""A study's table in words: what is printed, shown on its page and exported alike."""

from collections.abc import Mapping, Sequence
from math import isfinite

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.studies.catalogue import further_table
from contrasweep.services.studies.outcome import Ours, Outcome, RowOutcome
from contrasweep.services.studies.study import PHANTOM, title_of
from contrasweep.services.text import capitalised, count, ends, number
from contrasweep.trainers.analyses import Table as Found
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.objectives import DEFAULT as MAE
from contrasweep.trainers.order_told import AGREES, DISAGREES

_NOTHING, _TIED = "–", "*"
SAYS = {AGREES: "our order agrees with", DISAGREES: "our order disagrees with"}


def outcome_table(outcome: Outcome) -> Table:
    """The rows in the paper's order: of each metric ours, its interval and sd over seeds, and what is published."""
    return _rows_table(caption(outcome), outcome, "")


def further_tables(outcome: Outcome) -> list[Table]:
    """The same of each part of the test scans, and what is published of the rows beside that."""
    of_parts = [_rows_table(f"{part}: {count(n, 'test scan')}", outcome, part) for part, n in outcome.parts.items()]
    return [*of_parts, *([further_table(outcome.further, outcome.metrics)] if outcome.further else [])]


def _metrics_of(outcome: Outcome, part: str) -> list[str]:
    """The metrics of a part; of the whole those of none."""
    heads = {metric: metric.partition(".")[0] for metric in outcome.metrics}
    return [metric for metric, head in heads.items() if (head if head in outcome.parts else "") == part]


def _rows_table(title: str, outcome: Outcome, part: str) -> Table:
    """Of a part; of the whole with ties and baselines, which are of all scans."""
    titles, shown = ["row"], {metric: _is_published(outcome, metric) for metric in _metrics_of(outcome, part)}
    for metric, published in shown.items():
        titles += [title_of(metric), "95 % interval", "sd", *["published"] * published]
    tied, baselines = ((), {}) if part else (outcome.tied, outcome.baselines)
    lines = [Line((_name(row, tied), *_cells(shown, row)), _kind(row, tied)) for row in outcome.rows]
    lines += [Line((name, *_of_baseline(shown, mae)), "pruned") for name, mae in baselines.items()]
    figures = frozenset(range(1, len(titles) + 1))
    return Table(title, (*titles, "seeds"), tuple(lines), figures=figures)


def _is_published(outcome: Outcome, metric: str) -> bool:
    return any(metric in row.published for row in outcome.rows)


def caption(outcome: Outcome) -> str:
    """What the numbers are of."""
    theirs = sorted({(one.dataset, one.n) for row in outcome.rows for one in row.published.values()})
    named = ", ".join(f"{dataset} ({count(n, 'test scan')})" if n else dataset for dataset, n in theirs)
    people = f" of {outcome.subjects:,} people" if outcome.subjects < outcome.n else ""
    ours = f"Ours: {outcome.data}, {count(outcome.n, 'test scan')}{people}, errors in {outcome.unit}{_tuned(outcome)}"
    return f"{ours}; published: {named}" if named else ours


def _tuned(outcome: Outcome) -> str:
    """Of how many configurations each row is the best."""
    several = sorted({row.best_of for row in outcome.rows if row.best_of})
    many = " to ".join(map(str, dict.fromkeys((several[0], several[-1])))) if several else ""
    return f", each row the best of {many} of its method's configurations by validation" if several else ""


def _name(row: RowOutcome, tied: Sequence[str]) -> str:
    return f"{row.name} {_TIED}" if row.name in tied else row.name


def _kind(row: RowOutcome, tied: Sequence[str]) -> str:
    if row.name in tied:
        return "best"
    return "" if row.state == COMPLETE else "failed" if row.state == "failed" else "pruned"


def _cells(shown: Mapping[str, bool], row: RowOutcome) -> list[str]:
    cells: list[str] = []
    for metric, published in shown.items():
        cells += ours_cells(row.ours.get(metric))
        cells += [str(row.published.get(metric, _NOTHING))] * published
    return [*cells, str(row.seeds) if row.state == COMPLETE else row.state]


def _of_baseline(shown: Mapping[str, bool], mae: Interval) -> list[str]:
    cells: list[str] = []
    for metric, published in shown.items():
        cells += [number(mae.value), ends(mae.low, mae.high), ""] if metric == MAE else [""] * 3
        cells += [""] * published
    return [*cells, ""]


def ours_cells(ours: Ours | None) -> list[str]:
    """A figure, its interval and its sd."""
    if ours is None:
        return [_NOTHING, "", ""]
    interval = ends(ours.value.low, ours.value.high) if isfinite(ours.value.low) else ""
    return [number(ours.value.value), interval, "" if ours.sd is None else number(ours.sd)]


def summary_table(outcomes: Sequence[Outcome]) -> Table:
    """A line for each of several studies: how far its order agrees."""
    titles = ("study", "of", "rows", "data", "by", "tau", "95 % interval", "verdict")
    return Table("Studies", titles, tuple(Line(_summary(one)) for one in outcomes), figures=frozenset({2, 5, 6}))


def _summary(outcome: Outcome) -> tuple[str, ...]:
    of = " ".join(filter(None, (outcome.paper, outcome.table))) or "ours"
    known, order = (outcome.name, of, str(len(outcome.rows)), outcome.data), outcome.order
    if order is None:
        return *known, *[_NOTHING] * 4
    told = (title_of(order.metric), number(order.tau.value), ends(order.tau.low, order.tau.high))
    return *known, *told, f"{order.verdict} (claimed)" if order.claimed else order.verdict


def command(outcome: Outcome) -> str:
    """What repeats a study; where it is not the phantom's, DATA stands for the data that were named."""
    data = "" if outcome.data == PHANTOM else " --data DATA"
    return f"contrasweep study run {outcome.study}{data}{' --quick' * outcome.quick} --seeds {outcome.seeds}"


def verdict(outcome: Outcome) -> str:
    """In a sentence how far our order agrees with the published or claimed one."""
    order = outcome.order
    if order is None:
        return "there are not two rows whose order could be compared"
    interval, rows = ends(order.tau.low, order.tau.high), count(len(order.rows), "row")
    tau = f"Kendall's tau {number(order.tau.value)} {interval} over {rows}"
    says = SAYS.get(order.verdict, "it cannot be told whether our order agrees with")
    return f"{says} the {order.whose} one: {tau} by {title_of(order.metric)}"


def verdict_line(outcome: Outcome) -> str:
    """The verdict as a line of its own."""
    return f"{capitalised(verdict(outcome))}."


def footnotes(outcome: Outcome) -> list[str]:
    """What ties are, rows that have no figure and why, analyses that could not be made, and the study's notes."""
    absent = [f"{row.name}: {row.state}: {row.reason}" for row in outcome.rows if row.state != COMPLETE]
    small = ["this is the study in small, to see that all goes together: its figures mean nothing"] * outcome.quick
    ties = [
        f"{_TIED} ties: the best by MAE, and what cannot be told from it after Holm's correction over all pairs"
    ] * bool(outcome.tied)
    return [*small, *ties, *absent, *(f"not made: {line}" for line in outcome.lacking), *outcome.notes]


def found_table(title: str, found: Found) -> Table:
    """A table of an analysis in words."""
    numbers = {place for place in range(len(found.columns)) if any(_is_number(row[place]) for row in found.rows)}
    lines = tuple(Line(tuple(map(_cell, row))) for row in found.rows)
    return Table(title, found.columns, lines, figures=frozenset(numbers))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    return number(value) if isinstance(value, float) else _NOTHING if value is None else str(value)


def orders(outcome: Outcome) -> tuple[str, str] | None:
    """The rows of the verdict, the best first, chain by chain: as they are published or claimed, and as ours are."""
    if outcome.order is None:
        return None
    metric, chains, rows = outcome.order.metric, outcome.order.chains, {row.name: row for row in outcome.rows}
    ours = [
        sorted(chain, key=lambda name: rows[name].ours[metric].value.value, reverse=outcome.order.higher)
        for chain in chains
    ]
    return "; ".join(map(", ".join, chains)), "; ".join(map(", ".join, ours))
