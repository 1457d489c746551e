"""The tables of an evaluation, on its page and on the screen alike."""

from services.pages.tables import Line, Table
from services.predicting.evaluate import CohortReport
from services.text import interval, number
from trainers.groups import GroupErrors


def all_tables(report: CohortReport) -> list[Table]:
    """Figures, the gap, each column's groups and reliability, those that there are."""
    found = [metrics_table(report), gap_table(report), *group_tables(report), retest_table(report)]
    return [table for table in found if table.lines]


def metrics_table(report: CohortReport) -> Table:
    """Each metric with its interval, the bias, and what a person's intervals hold."""
    figures = report.figures
    told = {name: interval(figure) for name, figure in (*figures.metrics.items(), ("bias", figures.bias))}
    if coverage := figures.coverage:
        told[f"share in intervals of {100 * coverage.level:.0f} %"] = interval(coverage.share)
        told["their mean width"] = number(coverage.width)
    lines = tuple(Line((name, value)) for name, value in told.items())
    return Table(
        f"Mean prediction over runs, and 95 % subject bootstrap; in units of {report.label}",
        ("", report.name),
        lines,
        figures=frozenset({1}),
    )


def gap_table(report: CohortReport) -> Table:
    """How the gap depends on the label."""
    lines = tuple(
        Line((name, interval(gap.slope), interval(gap.correlation))) for name, gap in report.figures.gaps.items()
    )
    titles = ("gap", f"slope over {report.label}", "correlation")
    return Table(
        f"The gap, prediction less {report.label}, by {report.label}", titles, lines, figures=frozenset({1, 2})
    )


def group_tables(report: CohortReport) -> list[Table]:
    """Errors by group, a table for each column."""
    titles = ("people", "scans", "MAE", "bias")
    return [
        Table(f"By {column}", (column, *titles), tuple(map(_group, groups)), figures=frozenset({1, 2, 3, 4}))
        for column, groups in report.figures.groups.items()
    ]


def retest_table(report: CohortReport) -> Table:
    """Reliability over sessions."""
    lines = tuple(
        Line((name, interval(found.icc), interval(found.within_sd), f"{found.subjects:,} people"))
        for name, found in report.figures.retest.items()
    )
    titles = ("of the", "ICC(2,1)", "sd within a person", "over")
    return Table("Sessions of a person", titles, lines, figures=frozenset({1, 2}))


def rejected_table(report: CohortReport) -> Table:
    """Who is in no figure, and why."""
    lines = tuple(Line((one.scan, one.reason)) for one in report.rejected)
    return Table("Rejected", ("scan", "reason"), lines)


def _group(one: GroupErrors) -> Line:
    few = "pruned" if one.few else ""
    return Line((one.group, f"{one.subjects:,}", f"{one.scans:,}", interval(one.mae), interval(one.bias)), few)
