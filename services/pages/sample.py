"""What a labelled sample says of a model, as tables and in words, on pages and on the screen alike."""

from dataclasses import replace

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.text import ends, first_few, interval, number
from contrasweep.trainers.data.participants import DESCRIBING
from contrasweep.trainers.groups import FEW, GroupErrors
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.served.evaluation import BY_LINE, OF_LABEL, SampleEvaluation

_OF_SCANNING = DESCRIBING - {"sex", "gender"}
"""Columns that an embedding should not tell."""


def sample_tables(figures: SampleEvaluation, label: str, heading: str, unit: str) -> list[Table]:
    """Figures in `unit`, the gap, each column's groups and reliability, those that there are."""
    found = [metrics_table(figures, heading, unit), gap_table(figures, label), *group_tables(figures, label)]
    return [table for table in (*found, told_table(figures), retest_table(figures)) if table.lines]


def metrics_table(figures: SampleEvaluation, heading: str, unit: str) -> Table:
    """Each metric with its interval, the bias, and what a person's intervals hold, in `unit`."""
    metrics = tuple(Line((OBJECTIVES[name].title, interval(figure))) for name, figure in figures.metrics.items())
    beside = person_table(figures, heading, unit)
    return replace(beside, lines=(*metrics, *beside.lines))


def person_table(figures: SampleEvaluation, heading: str, unit: str) -> Table:
    """The bias, and what a person's intervals hold, in `unit`."""
    told = {"bias, prediction less label": interval(figures.bias)}
    if coverage := figures.coverage:
        told[f"share of scans inside their {100 * coverage.level:.0f} % interval"] = interval(coverage.share)
        told["mean width of these intervals"] = number(coverage.width)
    lines = tuple(Line((name, value)) for name, value in told.items())
    caption = f"Mean prediction, with 95 % intervals over subjects; errors in {unit}"
    return Table(caption, ("", heading), lines, figures=frozenset({1}))


def gap_table(figures: SampleEvaluation, label: str) -> Table:
    """How the gap depends on the label."""
    lines = tuple(Line((name, interval(gap.slope), interval(gap.correlation))) for name, gap in figures.gaps.items())
    titles = ("gap", f"slope over {label}", "correlation")
    return Table(f"The gap, prediction less {label}, by {label}", titles, lines, figures=frozenset({1, 2}))


def group_tables(figures: SampleEvaluation, label: str) -> list[Table]:
    """Errors by group, a table for each column, and one for the label."""
    titles, by = ("people", "scans", "MAE", "bias"), {_called(name, label): of for name, of in figures.groups.items()}
    return [
        Table(f"By {name}", (name, *titles), tuple(map(_group, groups)), figures=frozenset({1, 2, 3, 4}))
        for name, groups in by.items()
    ]


def told_table(figures: SampleEvaluation) -> Table:
    """How well the embedding tells the groups of a column."""
    lines = tuple(
        Line((column, f"{told.groups}", f"{told.people:,}", interval(told.accuracy), number(told.chance)))
        for column, told in figures.told.items()
    )
    caption = "Told by the embedding: balanced accuracy of a cross-validated logistic regression"
    return Table(caption, ("", "groups", "people", "accuracy", "chance"), lines, figures=frozenset({1, 2, 3, 4}))


def retest_table(figures: SampleEvaluation) -> Table:
    """Reliability over sessions."""
    lines = tuple(
        Line((name, interval(found.icc), interval(found.within_sd), f"{found.subjects:,}"))
        for name, found in figures.retest.items()
    )
    return Table(
        "Sessions of a person", ("", "ICC(2,1)", "sd within a person", "people"), lines, figures=frozenset({1, 2, 3})
    )


def doubts_of(figures: SampleEvaluation, label: str) -> list[str]:
    """What to doubt of the figures, the gravest first, each in a sentence without its end."""
    found, coverage = [], figures.coverage
    if coverage and _apart(coverage.share, coverage.level):
        low, share, high = (
            f"{100 * end:.0f} %" for end in (coverage.share.low, coverage.share.value, coverage.share.high)
        )
        found.append(f"intervals that should hold {100 * coverage.level:.0f} % of people hold {share} [{low}, {high}]")
    if _apart(figures.bias, 0.0):
        over = "overestimated" if figures.bias.value > 0 else "underestimated"
        found.append(f"{label} is {over} by {number(abs(figures.bias.value))} in the mean {_ends(figures.bias)}")
    left = figures.gaps.get(BY_LINE)
    if left and _apart(left.correlation, 0.0):
        told = f"correlation {number(left.correlation.value)} {_ends(left.correlation)}"
        found.append(f"the corrected gap still depends on {label}: {told}")
    for column, group in figures.told.items():
        if column.lower() in _OF_SCANNING and group.accuracy.low > group.chance:
            told, chance = interval(group.accuracy), number(group.chance)
            found.append(f"the embedding tells {column}: balanced accuracy {told}, chance is {chance}")
    groups = [(_called(column, label), one) for column, own in figures.groups.items() for one in own]
    few = [f"{column} {one.group} ({one.subjects})" for column, one in groups if one.few]
    if few and figures.subjects >= FEW:
        found.append(f"groups of fewer than {FEW} people, whose figures say little: {first_few(few, most=8)}")
    return found


def _called(column: str, label: str) -> str:
    return label if column == OF_LABEL else column


def _apart(figure: Interval, value: float) -> bool:
    """Whether an interval tells a figure from a value."""
    return figure.low > value or figure.high < value


def _ends(figure: Interval) -> str:
    return ends(figure.low, figure.high)


def _group(one: GroupErrors) -> Line:
    few = "pruned" if one.few else ""
    return Line((one.group, f"{one.subjects:,}", f"{one.scans:,}", interval(one.mae), interval(one.bias)), few)
