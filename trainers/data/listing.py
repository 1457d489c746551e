"""Scans as a table lists them, before anyone has judged their labels or looked for their files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainers.config import DataConfig
from trainers.data.readers.base import UnreadableError
from trainers.data.table import Row, Table, check_columns, is_missing, read_table
from trainers.data.template import ImageTemplate
from trainers.errors import UserError


@dataclass(frozen=True)
class Listed:
    """One scan: whose it is, what the tables say of it, and where its one image should be.

    `problem` is why it cannot be used, where that is known already; `path` may then be None and `row` empty.
    """

    id: str
    subject: str
    row: Mapping[str, str]
    path: Path | None
    problem: str | None = None


@dataclass(frozen=True)
class Listing:
    """All scans of a data set; `name` is the table that has the `columns`."""

    name: str
    columns: tuple[str, ...]
    scans: tuple[Listed, ...]


def list_table(config: DataConfig, base: Path) -> Listing:
    """The rows of the participants table, each with the path that the image template gives.

    Raises UserError on an unusable table or template, a column of either that is missing, a scan twice.
    """
    path = base / config.listed_in
    table = read_table(path, "data.participants")
    template = ImageTemplate.parse(str(config.image), path.parent)
    wanted = [("data.id", config.id), *(("data.image", column) for column in template.columns)]
    wanted += [("data.session", config.session)] if config.session is not None else []
    check_columns(table.name, table.columns, wanted)
    scans = tuple(_listed(row, config, template) for row in table.rows)
    _check_unique(table, scans, config.session)
    return Listing(table.name, table.columns, scans)


def nameless(row: Row, column: str) -> Listed:
    """A row that does not say whose it is, or cannot be read."""
    line = f"line {row.line}"
    return Listed(line, line, {}, None, row.problem or f"no subject id: column '{column}' is '{row.cells[column]}'")


def _listed(row: Row, config: DataConfig, template: ImageTemplate) -> Listed:
    subject = row.cells[config.id]
    if is_missing(subject):
        return nameless(row, config.id)
    session = row.cells[config.session] if config.session is not None else None
    if session is not None and is_missing(session):
        reason = f"missing value: column '{config.session}' is '{session}'"
        return Listed(f"{subject} in line {row.line}", subject, row.cells, None, reason)
    name = subject if session is None else f"{subject}_{session}"
    try:
        return Listed(name, subject, row.cells, template.fill(row.cells))
    except UnreadableError as error:
        return Listed(name, subject, row.cells, None, str(error))


def _check_unique(table: Table, scans: tuple[Listed, ...], session: str | None) -> None:
    first: dict[str, int] = {}
    for row, scan in zip(table.rows, scans, strict=True):
        if scan.id in first:
            twice = f"data.participants: {table.name} has {'subject' if session is None else 'scan'} '{scan.id}' twice"
            allowed = "subject is allowed, or name the column that tells scans apart as data.session"
            raise UserError(
                f"{twice}, in lines {first[scan.id]} and {row.line}; one row for each "
                f"{allowed if session is None else f'{scan.subject} and {session} is allowed'}"
            )
        first[scan.id] = row.line
