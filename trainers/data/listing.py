"""Scans as a table lists them, before anyone has judged their labels or looked for their files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.readers.base import UnreadableError
from contrasweep.trainers.data.several import of_image
from contrasweep.trainers.data.table import Row, check_columns, is_missing, read_table
from contrasweep.trainers.data.template import ImageTemplate, image_field, image_templates

_SHOWN = 3


@dataclass(frozen=True)
class Listed:
    """One scan: whose it is, what the tables say of it, and where its images should be, in the spec's order.

    `problem` is why it cannot be used, where that is known already; a path may then be None, or `paths` and `row`
    empty. `line` is that of the table, where it is one's.
    """

    id: str
    subject: str
    row: Mapping[str, str]
    paths: tuple[Path | None, ...]
    problem: str | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def path(self) -> Path | None:
        """That of its image, where it has one alone and it is known."""
        return self.paths[0] if len(self.paths) == 1 else None


@dataclass(frozen=True)
class Listing:
    """All scans of a data set; `name` is the table that has the `columns`."""

    name: str
    columns: tuple[str, ...]
    scans: tuple[Listed, ...]


def list_table(config: DataConfig, base: Path) -> Listing:
    """The rows of the participants table, each with the paths that the image templates give.

    Raises UserError on an unusable table or template, or a column of either that is missing.
    """
    path = base / config.listed_in
    table = read_table(path, "data.participants")
    templates = image_templates(config, path.parent)
    wanted = [("data.id", config.id)]
    wanted += [(image_field(name), column) for name, one in templates.items() for column in one.columns]
    wanted += [("data.session", config.session)] if config.session is not None else []
    check_columns(table.name, table.columns, wanted)
    return Listing(table.name, table.columns, tuple(_listed(row, config, templates) for row in table.rows))


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
    return Listed(line, line, {}, (), row.problem or f"no subject id: column '{column}' is '{row.cells[column]}'")


def _listed(row: Row, config: DataConfig, templates: Mapping[str, ImageTemplate]) -> Listed:
    subject = row.cells[config.id]
    if is_missing(subject):
        return nameless(row, config.id)
    session = row.cells[config.session] if config.session is not None else None
    if session is not None and is_missing(session):
        reason = f"missing value: column '{config.session}' is '{session}'"
        return Listed(f"{subject} in line {row.line}", subject, row.cells, (), reason)
    name = subject if session is None else f"{subject}_{session}"
    paths: list[Path | None] = []
    problems = []
    for image, template in templates.items():
        try:
            paths.append(template.fill(row.cells))
        except UnreadableError as error:
            paths.append(None)
            problems.append(of_image(image, str(error)))
    return Listed(name, subject, row.cells, tuple(paths), "; ".join(problems) or None, row.line)
