"""An inspection on the screen."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from contrasweep.services.data.problems import Problem, Severity
from contrasweep.services.inspection.report import Report
from contrasweep.services.inspection.tables import (
    column_tables,
    facts,
    origin_tables,
    outlier_table,
    rejection_table,
    split_tables,
)
from contrasweep.services.screen.tables import print_table

_STYLES: dict[Severity, str] = {"leak": "bold red", "warning": "yellow", "note": "dim"}


def print_report(console: Console, report: Report, page: Path) -> None:
    """Print leaks and other problems first, tables next, and what they come to last."""
    print_problems(console, report.problems)
    for name, text in facts(report).items():
        console.print(f"{name:8} {text}", soft_wrap=True, markup=False)
    for table in (
        *split_tables(report).values(),
        *column_tables(report).values(),
        *origin_tables(report).values(),
        rejection_table(report),
        outlier_table(report),
    ):
        if table.lines:
            console.print(f"\n{table.caption}", markup=False)
            print_table(console, table)
    console.print(f"\nreport   {page}", soft_wrap=True, markup=False)
    console.print(report.verdict, style=_STYLES["leak"] if report.count("leak") else "", soft_wrap=True)


def print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """A line for each problem, its severity in colour."""
    for problem in problems:
        line = Text(f"{problem.severity:8} ", style=_STYLES[problem.severity])
        line.append(problem.text, style="red" if problem.severity == "leak" else "default")
        console.print(line, soft_wrap=True)
