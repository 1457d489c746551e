"""Scans as a table lists them, before anyone has judged their labels or looked for their files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainers.config import DataConfig
from trainers.data.readers.base import UnreadableError
from trainers.data.table import Row, check_columns, is_missing, read_table
from trainers.data.template import ImageTemplate

_SHOWN = 3


@dataclass(frozen=True)
class Listed:
    """One scan: whose it is, what the tables say of it, and where its one image should be.

    `problem` is why it cannot be used, where that is known already; `path` may then be None and `row` empty. `line` is
    that of the table, where it is one's.
    """

    id: str
    subject: str
    row: Mapping[str, str]
    path: Path | None
    problem: str | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Listing:
    """All scans of a data set; `name` is the table that has the `columns`."""

    name: str
    columns: tuple[str, ...]
    scans: tuple[Listed, ...]


def list_table(config: DataConfig, base: Path) -> Listing:
    """The rows of the participants table, each with the path that the image template gives.

    Raises UserError on an unusable table or template, or a column of either that is missing.
    """
    path = base / config.listed_in
    table = read_table(path, "data.participants")
    template = ImageTemplate.parse(str(config.image), path.parent)
    wanted = [("data.id", config.id), *(("data.image", column) for column in template.columns)]
    wanted += [("data.session", config.session)] if config.session is not None else []
    check_columns(table.name, table.columns, wanted)
    return Listing(table.name, table.columns, tuple(_listed(row, config, template) for row in table.rows))


def unique(listing: Listing, config: DataConfig) -> Listing:
    """The listing with each scan once; that several rows have it is its problem, unless they say the same."""
    rows: dict[str, list[Listed]] = defaultdict(list)
    for scan in listing.scans:
        if scan not in rows[scan.id]:
            rows[scan.id].append(scan)
    return replace(listing, scans=tuple(_alone(same, config.session) for same in rows.values()))


def _alone(same: Sequence[Listed], session: str | None) -> Listed:
    if len(same) == 1:
        return same[0]
    lines = ", ".join(str(one.line) for one in same[:_SHOWN]) + (" ..." if len(same) > _SHOWN else "")
    allowed = "; data.session names the column that tells a subject's scans apart" if session is None else ""
    return replace(same[0], problem=f"has {len(same)} different rows, in lines {lines}{allowed}")


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
        return Listed(name, subject, row.cells, template.fill(row.cells), line=row.line)
    except UnreadableError as error:
        return Listed(name, subject, row.cells, None, str(error), row.line)
