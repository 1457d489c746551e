"""What a model says as a person reads it."""

from pathlib import Path

from rich.console import Console

from contrasweep.services.pages.sample import sample_tables
from contrasweep.services.pages.tables import MOST_IN_SIGHT, Line, Table
from contrasweep.services.predicting.answers import Predicted, Predictions
from contrasweep.services.predicting.evaluate import CohortReport, doubts
from contrasweep.services.screen.tables import print_table
from contrasweep.services.text import count, interval


def print_predictions(console: Console, found: Predictions, out: Path | None = None, maps: Path | None = None) -> None:
    """A line for each scan, unless the file `out` has them; how many there are of what kind, and where `maps` are."""
    if found.scans and out is None:
        print_table(console, _table(found))
    unlike = sum(bool(one.unlike) for one in found.scans)
    told = [f"{count(len(found.scans), 'scan')} predicted by {found.model}"]
    told += [f"{unlike} unlike those of training"] if unlike else []
    told += [f"{len(found.rejected)} rejected"] if found.rejected else []
    lines = ["; ".join(told)]
    if found.scans and all(one.low is None for one in found.scans):
        lines += ["no intervals or corrected gaps: the model's study held out fewer people than they need"]
    lines += [f"{name:<10}{path}" for name, path in (("table", out), ("maps", maps)) if path is not None]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def print_report(console: Console, report: CohortReport) -> None:
    """The figure, what to doubt of it, and tables."""
    mae = interval(report.figures.metrics["mae"])
    lines = [f"{report.name}: MAE {mae} {report.unit} over {report.sample}, by {report.model}"]
    for line in (*lines, *(f"doubt     {one}" for one in doubts(report))):
        console.print(line, markup=False, soft_wrap=True)
    for table in sample_tables(report.figures, report.label, report.name, report.unit):
        console.print(f"\n{table.caption}", markup=False, soft_wrap=True)
        print_table(console, table.cut(MOST_IN_SIGHT))


def _table(found: Predictions) -> Table:
    """A line for each scan; of what no scan has there is no column."""
    columns = [
        ("scan", [one.scan for one in found.scans]),
        (found.label, [_shown(one.prediction) for one in found.scans]),
        ("sd over runs", [_shown(one.sd) for one in found.scans]),
        ("9 in 10 are in", [_within(one) for one in found.scans]),
        ("table", [_shown(one.label) for one in found.scans]),
        ("gap", [_shown(one.gap) for one in found.scans]),
        ("corrected", [_shown(one.gap_corrected) for one in found.scans]),
    ]
    told = [(title, cells) for title, cells in columns if any(cells)]
    told.append(("unlike training", [one.unlike for one in found.scans]))
    titles, cells = zip(*told, strict=True)
    lines = tuple(map(Line, zip(*cells, strict=True)))
    return Table("predictions", titles, lines, figures=frozenset(range(1, len(titles) - 1)))


def _within(one: Predicted) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
