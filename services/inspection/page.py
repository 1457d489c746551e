"""An inspection as one HTML page that needs nothing beside itself."""

import base64
import io
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from services.data.problems import SEVERITIES
from services.inspection import figures
from services.inspection.report import Report
from services.inspection.tables import (
    column_tables,
    facts,
    origin_tables,
    outlier_table,
    rejection_table,
    split_tables,
)
from services.templates import pages
from trainers.atomic import write_atomically

_TEMPLATE = "inspect.html"


def write_page(report: Report, folder: Path) -> Path:
    """Write the page into `folder`, named after the store; its path."""
    path = folder / f"inspect-{report.store.folder.name}.html"
    write_atomically(path, render(report).encode())
    return path


def render(report: Report) -> str:
    """The page's text."""
    template, label = pages().get_template(_TEMPLATE), report.manifest.labels.column
    return template.render(
        report=report,
        name=report.store.folder.name,
        label=label,
        counts={severity: report.count(severity) for severity in SEVERITIES},
        facts=facts(report),
        splits=split_tables(report),
        columns=column_tables(report),
        origins=origin_tables(report),
        outliers=outlier_table(report),
        rejected=rejection_table(report),
        sheet=_png(_sheet(report)),
        everyone=_svg(figures.label_histogram([report.everyone], label)),
        split_figures={n: _svg(figures.label_histogram(p, label, share=True)) for n, p in report.by_split.items()},
        column_figures={n: _svg(figures.label_histogram(p, label)) for n, p in report.by_column.items()},
        ranges=_svg(figures.raw_ranges(report.manifest.subjects)),
    )


def _sheet(report: Report) -> Figure:
    scans = [report.store.subjects[row] for row in report.sheet]
    captions = [f"{_short(scan.id)}\n{scan.label:.4g}" for scan in scans]
    return figures.contact_sheet([report.survey.slices[row] for row in report.sheet], captions)


def _short(name: str, most: int = 22) -> str:
    """An id's end, which tells more than its beginning."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _inline(figure: Figure, kind: str, media_type: str) -> str:
    """A figure as an address that holds it."""
    file = io.BytesIO()
    figure.savefig(file, format=kind)
    return f"data:{media_type};base64,{base64.b64encode(file.getvalue()).decode()}"


_png = partial(_inline, kind="png", media_type="image/png")
_svg = partial(_inline, kind="svg", media_type="image/svg+xml")
