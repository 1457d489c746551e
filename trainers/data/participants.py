"""The participants table: one row, one subject, one scan, one label."""

import csv
import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.config import DataConfig
from trainers.errors import UserError, nearest

MISSING = frozenset({"", "n/a", "na", "nan", "null", "none"})
_DELIMITERS = {".tsv": "\t", ".txt": "\t", ".csv": ","}


@dataclass(frozen=True)
class Subject:
    """A subject with a usable row; whether the scan can be read shows when it is read.

    `label` is in the table's own unit. `strata` holds the values of the `stratify` columns: numbers where
    the whole column is numeric, strings otherwise, "" where missing.
    """

    id: str
    path: Path
    label: float
    group: str | None
    strata: dict[str, str | float]


@dataclass(frozen=True)
class Rejected:
    """A subject left out, and why."""

    subject: str
    path: Path | None
    reason: str


@dataclass(frozen=True)
class _Table:
    name: str
    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]


def read_subjects(config: DataConfig, base: Path) -> tuple[list[Subject], list[Rejected]]:
    """Subjects of the table sorted by id, and the rows that cannot be used, sorted as well.

    `config.participants` is relative to `base`, the image template to the table's folder.

    Raises UserError on what makes the whole table unusable: no such file, a missing column, an unknown
    field in the image template, a subject twice, a label column without numbers, one label for all.
    """
    path = base / config.participants
    table = _read_table(path)
    template = _parse_template(config.image)
    _check_columns(table, config, template)
    _check_unique(table, config.id)
    numeric = {column for column in config.strata if _is_numeric(table, column)}
    subjects: list[Subject] = []
    rejected: list[Rejected] = []
    for row, line in zip(table.rows, table.lines, strict=True):
        made = _subject(row, line, config, template, numeric, path.parent)
        if isinstance(made, Subject):
            subjects.append(made)
        else:
            rejected.append(made)
    _check_labels(table, config, subjects)
    return sorted(subjects, key=lambda s: s.id), sorted(rejected, key=lambda r: r.subject)


def check_label_range(labels: Sequence[float], column: str) -> None:
    """Raise UserError where all labels are equal: there is nothing to learn."""
    if labels and min(labels) == max(labels):
        raise UserError(
            f"data.label: the range of '{column}' is zero: all {len(labels)} labels are {labels[0]:g}; "
            "at least two different values are needed"
        )


def _read_table(path: Path) -> _Table:
    if not path.is_file():
        raise UserError(f"data.participants: no such file: {path}{_similar(path)}")
    delimiter = _DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        raise UserError(f"data.participants: {path} ends in '{path.suffix}'; {nearest(path.suffix, _DELIMITERS)}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter, restval="")
            pairs = [(row, reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.participants: {path} cannot be read: {error}") from error
    columns = [name.strip() for name in reader.fieldnames or ()]
    for row, line in pairs:
        if None in row:
            raise UserError(f"data.participants: {path} line {line} has more values than the {len(columns)} columns")
    if not pairs:
        raise UserError(f"data.participants: {path} has no rows; a header and one row for each subject are needed")
    rows = [{name.strip(): value.strip() for name, value in row.items()} for row, _ in pairs]
    return _Table(path.name, columns, rows, [line for _, line in pairs])


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (the folder {path.parent} does not exist)"
    tables = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _DELIMITERS]
    return f"; {nearest(path.name, tables)}" if tables else ""


def _parse_template(image: str) -> list[tuple[str, str | None]]:
    """Pairs of literal text and the column that follows it.

    >>> _parse_template("maps/{id}.png")
    [('maps/', 'id'), ('.png', None)]
    """
    try:
        parsed = [(text, field, spec, conversion) for text, field, spec, conversion in string.Formatter().parse(image)]
    except ValueError as error:
        raise UserError(f"data.image: '{image}' is no template: {error}; write columns as {{name}}") from error
    if any(spec or conversion or field == "" for _, field, spec, conversion in parsed):
        raise UserError(f"data.image: '{image}' holds more than plain column names; write columns as {{name}}")
    if all(field is None for _, field, _, _ in parsed):
        raise UserError(f"data.image: '{image}' names no column; write at least one as {{name}}")
    return [(text, field) for text, field, _, _ in parsed]


def _check_columns(table: _Table, config: DataConfig, template: list[tuple[str, str | None]]) -> None:
    wanted = [("data.id", config.id), ("data.label", config.label)]
    wanted += [("data.image", field) for _, field in template if field is not None]
    wanted += [("data.group", config.group)] if config.group is not None else []
    wanted += [("data.split.stratify", column) for column in config.strata]
    for key, column in wanted:
        if column not in table.columns:
            raise UserError(f"{key}: {table.name} has no column '{column}'; {nearest(column, table.columns)}")


def _check_unique(table: _Table, column: str) -> None:
    first: dict[str, int] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        subject = row[column]
        if subject in first and not _is_missing(subject):
            raise UserError(
                f"data.participants: {table.name} has subject '{subject}' twice, in lines {first[subject]} and {line}; "
                "one row for each subject is allowed"
            )
        first[subject] = line


def _is_missing(value: str) -> bool:
    return value.lower() in MISSING


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_numeric(table: _Table, column: str) -> bool:
    return all(_is_missing(row[column]) or _number(row[column]) is not None for row in table.rows)


def _subject(
    row: dict[str, str],
    line: int,
    config: DataConfig,
    template: list[tuple[str, str | None]],
    numeric: set[str],
    folder: Path,
) -> Subject | Rejected:
    if _is_missing(row[config.id]):
        return Rejected(f"line {line}", None, f"no subject id: column '{config.id}' is '{row[config.id]}'")
    for reason in _problems(row, config, template):
        return Rejected(row[config.id], None, reason)
    path = folder / "".join(text + (row[field] if field is not None else "") for text, field in template)
    if not path.is_file():
        return Rejected(row[config.id], path, "is no file" if path.exists() else "no such image")
    return Subject(
        id=row[config.id],
        path=path,
        label=float(row[config.label]),
        group=row[config.group] if config.group is not None else None,
        strata={column: _stratum(row[column], column in numeric) for column in config.strata},
    )


def _problems(row: dict[str, str], config: DataConfig, template: list[tuple[str, str | None]]) -> Iterator[str]:
    if _is_missing(row[config.label]):
        yield f"missing label: column '{config.label}' is '{row[config.label]}'"
    elif _number(row[config.label]) is None:
        yield f"label is no finite number: column '{config.label}' is '{row[config.label]}'"
    columns = [field for _, field in template if field is not None]
    columns += [config.group] if config.group is not None else []
    for column in columns:
        if _is_missing(row[column]):
            yield f"missing value: column '{column}' is '{row[column]}'"


def _stratum(value: str, numeric: bool) -> str | float:
    if _is_missing(value):
        return ""
    return float(value) if numeric else value


def _check_labels(table: _Table, config: DataConfig, subjects: list[Subject]) -> None:
    values = [row[config.label] for row in table.rows]
    if all(_number(value) is None for value in values):
        raise UserError(
            f"data.label: column '{config.label}' of {table.name} holds no numbers; "
            f"the first value is '{values[0]}', numbers are needed"
        )
    check_label_range([subject.label for subject in subjects], config.label)
