"""What a model says as a person reads it."""

from collections.abc import Sequence

from rich.console import Console

from contrasweep.services.pages.sample import sample_tables
from contrasweep.services.pages.tables import MOST_IN_SIGHT, Line, Table
from contrasweep.services.predicting.answers import Predicted, Predictions
from contrasweep.services.predicting.evaluate import CohortReport, doubts
from contrasweep.services.screen.tables import print_table
from contrasweep.services.text import count, interval


def print_predictions(console: Console, found: Predictions, *, with_table: bool) -> None:
    """A line for each scan, unless a file has them, and how many there are of what kind."""
    if found.scans and with_table:
        print_table(console, _table(found))
    unlike = sum(bool(one.unlike) for one in found.scans)
    told = [f"{count(len(found.scans), 'scan')} predicted by {found.model}"]
    told += [f"{unlike} unlike those of training"] if unlike else []
    told += [f"{len(found.rejected)} rejected"] if found.rejected else []
    console.print(", ".join(told), markup=False, soft_wrap=True)


def print_report(console: Console, report: CohortReport) -> None:
    """The figure, what to doubt of it, and tables."""
    mae = interval(report.figures.metrics["mae"])
    lines = [f"{report.name}: MAE {mae} {report.label} over {report.sample}, by {report.model}"]
    for line in (*lines, *(f"doubt     {one}" for one in doubts(report))):
        console.print(line, markup=False, soft_wrap=True)
    for table in sample_tables(report.figures, report.label, report.name, report.unit):
        console.print(f"\n{table.caption}", markup=False, soft_wrap=True)
        print_table(console, table.cut(MOST_IN_SIGHT))


def _table(found: Predictions) -> Table:
    with_label = any(one.label is not None for one in found.scans)
    titles = ["scan", found.label, "sd over runs", "9 in 10 are in"]
    titles += [*(["table", "gap", "corrected"] if with_label else []), "unlike training"]
    lines = tuple(Line(tuple(_cells(one, with_label))) for one in found.scans)
    return Table("predictions", tuple(titles), lines, figures=frozenset(range(1, len(titles) - 1)))


def _cells(one: Predicted, with_label: bool) -> Sequence[str]:
    within = "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
    gaps = [_shown(value) for value in (one.label, one.gap, one.gap_corrected)] if with_label else []
    return [one.scan, _shown(one.prediction), _shown(one.sd), within, *gaps, one.unlike]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
