"""An inspection as one HTML page that needs nothing beside itself."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from contrasweep.services.data.problems import SEVERITIES
from contrasweep.services.inspection import figures
from contrasweep.services.inspection.labels import Labels
from contrasweep.services.inspection.report import Report
from contrasweep.services.inspection.tables import (
    column_tables,
    facts,
    origin_tables,
    outlier_table,
    rejection_table,
    split_tables,
)
from contrasweep.services.pages.drawing import as_address
from contrasweep.services.pages.templates import pages
from contrasweep.services.text import number, without_secrets
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.drawing import plain

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
        folder=without_secrets(str(report.store.folder)),
        counts={severity: report.count(severity) for severity in SEVERITIES},
        facts=facts(report),
        splits=split_tables(report),
        columns=column_tables(report),
        origins=origin_tables(report),
        outliers=outlier_table(report),
        rejected=rejection_table(report),
        sheet=as_address(_sheet(report), "png"),
        everyone=_labels([report.everyone], label),
        split_figures={name: _labels(parts, label, share=True) for name, parts in report.by_split.items()},
        column_figures={name: _labels(parts, label) for name, parts in report.by_column.items()},
        ranges=as_address(figures.raw_ranges(report.manifest.subjects)),
    )


def _labels(parts: Sequence[Labels], label: str, *, share: bool = False) -> str:
    return as_address(figures.label_histogram(parts, label, share=share))


def _sheet(report: Report) -> Figure:
    scans = [report.store.subjects[row] for row in report.sheet]
    captions = [f"{plain(_short(scan.id))}\n{number(scan.label)}" for scan in scans]
    return figures.contact_sheet([report.survey.slices[row] for row in report.sheet], captions)


def _short(name: str, most: int = 22) -> str:
    """An id's end, which tells more than its beginning."""
    return name if len(name) <= most else f"…{name[1 - most :]}"
