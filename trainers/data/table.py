"""Tables, one header line and one row for each scan or subject, read strictly: nothing is guessed or filled in."""

import codecs
import csv
import datetime
import io
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from contrasweep.trainers.errors import UserError, nearest

MISSING = frozenset({"", "n/a", "na", "nan", "null", "none"})
_DELIMITERS = {".tsv": "\t", ".txt": "\t", ".csv": ","}
_BOOKS = frozenset({".xlsx", ".xls"})
_PARQUET = ".parquet"
_ENDINGS = (*_DELIMITERS, *sorted(_BOOKS), _PARQUET)
_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}
_DIGITS = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(_DIGITS)
_BOUND = re.compile(rf"(?:>=?|<=?|≥|≤)\s*({_DIGITS})|({_DIGITS})\s*\+")


class Row(NamedTuple):
    """Cells by column, without blanks around them, and the file's line; `problem` is why they are none."""

    line: int
    cells: dict[str, str]
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """A table as it was read; text is in Unicode's composed form (NFC), columns without a name are left out."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class _Unusable(Exception):
    """What is wrong with a table; the reader names the field and the file."""


def read_table(path: Path, field: str) -> Table:
    """Read a .tsv, .txt (tabs) or .csv (commas) in UTF-8, with or without a byte order mark, whatever ends its lines;
    the first sheet of an .xlsx or .xls; or a .parquet.

    A row with more or fewer values than columns has a problem. Raises UserError, which names `field` of the spec and
    the file: no such file, another ending, encoding or separator, a column twice, no rows.
    """
    ending = path.suffix.lower()
    try:
        if not path.is_file():
            raise UserError(f"{field}: {'is a folder' if path.is_dir() else 'no such file'}: {path}{_similar(path)}")
        if ending in _BOOKS:
            return _table(path.name, list(_sheet(path)))
        if ending == _PARQUET:
            return _table(path.name, list(_parquet(path)))
        if ending in _DELIMITERS:
            delimiter = _DELIMITERS[ending]
            return _table(path.name, _lines(_decode(path.read_bytes()), delimiter), delimiter)
        raise UserError(f"{field}: {path} ends in '{path.suffix}'; {nearest(path.suffix, _ENDINGS)}")
    except OSError as error:
        raise UserError(f"{field}: {path} cannot be read: {error.strerror}") from error
    except _Unusable as error:
        raise UserError(f"{field}: {path} {error}") from error


def check_columns(name: str, columns: Collection[str], wanted: Iterable[tuple[str, str]]) -> None:
    """Raise UserError on the first of `wanted`, pairs of the spec's field and the column it names, that is missing."""
    for field, column in wanted:
        if column not in columns:
            raise UserError(f"{field}: {name} has no column '{column}'; {nearest(column, columns)}")


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or says that there is no value.

    >>> is_missing("N/A"), is_missing("0")
    (True, False)
    """
    return cell.lower() in MISSING


def number(cell: str) -> float | None:
    """The finite number that a cell is in plain ASCII digits with a decimal point, or None.

    >>> number("-1.5e2"), number("12,5"), number("1_000"), number("inf")
    (-150.0, None, None, None)
    """
    value = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    return value if math.isfinite(value) else None


def bound(cell: str) -> float | None:
    """The number of a censored value, known only to lie beyond it, or None.

    >>> bound("89+"), bound("> 89"), bound("≥90"), bound("89")
    (89.0, 89.0, 90.0, None)
    """
    match = _BOUND.fullmatch(cell)
    return number(match[1] or match[2]) if match else None


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (the folder {path.parent} does not exist)"
    tables = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in _ENDINGS]
    return f"; {nearest(path.name, tables)}" if tables else ""


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _Unusable("is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise _Unusable(f"is no UTF-8 text: line {line} holds a NUL byte")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unusable(
            f"is not UTF-8: line {line} holds the byte 0x{content[error.start]:02x}; save it as UTF-8 "
            "(from latin-1: iconv -f LATIN1 -t UTF-8)"
        ) from error


def _lines(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Cells of all lines that are not blank, each with the number of its (last) line.

    Between tabs quotes are rare, and two that only begin a value would hide all the rows between them.
    """
    source = io.StringIO(unicodedata.normalize("NFC", text), newline="")
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)
    lines = [(0, [""])]
    try:
        lines.extend((reader.line_num, list(map(str.strip, cells))) for cells in reader)
    except csv.Error as error:
        raise _Unusable(f'line {lines[-1][0] + 1} cannot be read: {error}; is a quote (") not closed?') from error
    for line, cells in lines if delimiter == "\t" else ():
        if any("\n" in cell or "\r" in cell for cell in cells):
            raise _Unusable(f'line {line} ends a quoted value that runs over several lines; is a quote (") not closed?')
    return [(line, cells) for line, cells in lines if any(cells)]


def _sheet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's first sheet that are not blank, each with its number."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except CalamineError as error:
        raise _Unusable(f"is no workbook that can be read: {error}") from error
    for line, row in enumerate(rows, 1):
        cells = [_text(value) for value in row]
        if any(cells):
            yield line, cells


def _parquet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The columns' names and the rows, counted as a text file's lines would be."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise _Unusable("is no Parquet file, or a damaged one") from error
    yield 1, [_composed(name) for name in table.column_names]
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    for line, cells in enumerate(zip(*columns, strict=True), 2):
        yield line, list(cells)


def _text(value: object) -> str:
    """A cell that has a type, as a text table would have it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{int(value)}" if value.is_integer() else repr(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else _composed(str(value))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _table(name: str, lines: list[tuple[int, list[str]]], delimiter: str = "") -> Table:
    if len(lines) < 2:
        raise _Unusable("has no rows; a header and one row for each subject are needed")
    (_, header), *body = lines
    _check_header(header, delimiter)
    columns = tuple(filter(None, header))
    rows = tuple(_row(line, cells, header, columns, delimiter) for line, cells in body)
    return Table(name, columns, rows)


def _row(line: int, cells: list[str], header: list[str], columns: tuple[str, ...], delimiter: str) -> Row:
    if len(cells) != len(header):
        return Row(line, dict.fromkeys(columns, "n/a"), _ragged(line, len(cells), len(header), delimiter))
    named = dict(zip(header, cells, strict=True))
    if len(columns) < len(header):
        named.pop("")
    return Row(line, named)


def _ragged(line: int, count: int, width: int, delimiter: str) -> str:
    if count > width:
        return f"line {line} has more values than the {width} columns{_hint(delimiter)}"
    return f"line {line} has {count} values for {width} columns; write n/a where one is missing"


def _check_header(header: list[str], delimiter: str) -> None:
    for column in filter(None, header):
        if header.count(column) > 1:
            raise _Unusable(f"has the column '{column}' {header.count(column)} times; each name is allowed once")
    for separator, called in _SEPARATORS.items():
        if delimiter and len(header) == 1 and separator != delimiter and separator in header[0]:
            raise _Unusable(
                f"has one column, '{header[0]}': it seems to be separated by {called}; "
                f"allowed: {_SEPARATORS[delimiter]} (a .csv has commas, a .tsv tabs)"
            )


def _hint(delimiter: str) -> str:
    return "; a comma inside a value (12,5) needs a decimal point or quotes" if delimiter == "," else ""
