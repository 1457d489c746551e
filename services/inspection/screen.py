"""An inspection on the screen."""

from collections.abc import Sequence
from pathlib import Path

import rich.table
from rich.console import Console
from rich.text import Text

from services.data.problems import Problem, Severity
from services.inspection.report import Report
from services.inspection.tables import (
    Table,
    column_tables,
    facts,
    origin_tables,
    outlier_table,
    rejection_table,
    split_tables,
)
from services.screen.tables import print_table

_STYLES: dict[Severity, str] = {"leak": "bold red", "warning": "yellow", "note": "dim"}


def print_report(console: Console, report: Report, page: Path) -> None:
    """Print leaks and other problems first, tables next, and what they come to last."""
    print_problems(console, report.problems)
    for name, text in facts(report).items():
        console.print(f"{name:8} {text}", soft_wrap=True, markup=False)
    label = report.manifest.labels.column
    for tables, titled in (
        (split_tables(report), f"{label} by split"),
        (column_tables(report), f"{label} by {{}}"),
        (origin_tables(report), "files by {}"),
        ({"": rejection_table(report)}, "rejected"),
        ({"": outlier_table(report)}, "outliers"),
    ):
        for name, table in tables.items():
            _print_table(console, titled.format(name), table)
    console.print(f"\nreport   {page}", soft_wrap=True, markup=False)
    console.print(report.verdict, style=_STYLES["leak"] if report.count("leak") else "", soft_wrap=True)


def print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """A line for each problem, its severity in colour."""
    for problem in problems:
        line = Text(f"{problem.severity:8} ", style=_STYLES[problem.severity])
        line.append(problem.text, style="red" if problem.severity == "leak" else "default")
        console.print(line, soft_wrap=True)


def _print_table(console: Console, title: str, table: Table) -> None:
    if not table.rows:
        return
    shown = rich.table.Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(table.titles):
        shown.add_column(Text(name), no_wrap=True, justify="right" if _is_figure(table, number) else "left")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    console.print(f"\n{title}", markup=False)
    print_table(console, shown)
    if table.more:
        console.print(f"... and {table.more:,} more")


def _is_figure(table: Table, column: int) -> bool:
    return all(row[column].lstrip("+-")[:1].isdigit() for row in table.rows) and column > 0
