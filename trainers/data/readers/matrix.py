"""Tables of numbers in .csv, .tsv, .txt and AFNI's .1D files."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers.base import Header, Image
from contrasweep.trainers.data.table import is_missing

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_COLUMNS_ARE_SERIES = ".1d"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)


@register(".csv")
@register(".tsv")
@register(".txt")
@register(".1d")
class Matrix:
    """[rows, columns] as channels and positions, the same as a 2-D .npy file: regions by time points.

    A first line without any number names the columns, which then are the channels: [columns, rows], as XCP-D, nilearn
    and C-PAC write series of regions; one of whole numbers above decimals, each another, numbers them as an atlas does.
    So are the columns of .1D files, which AFNI says are series. Where rows are the time points and nothing says so, the
    transform `Transpose: {indices: [1, 0]}` turns them.

    Cells of .txt and .1D files are separated by blanks, and what follows a # is a comment; the last before the numbers
    names the columns where it has as many words. Missing cells (empty, n/a, nan) are NaN. A decimal comma in quotes is
    read ("0,25"), unless it might separate thousands ("1,250"). A line or a column that counts 0, 1, 2 ... or 1, 2, 3
    ... is refused: it is the index that other programs write beside the numbers. So is a first column without a name.
    """

    def read(self, path: Path) -> Image:
        """The table's numbers."""
        names, lines = _lines(path)
        if not lines:
            raise UnreadableError("holds a header and no numbers" if names else "holds no numbers")
        values = np.array([_numbers(cells, line) for line, cells in lines.items()])
        _check_index(values)
        if len(names) > 1 and not names[0]:
            raise UnreadableError("its first column has no name, and others have: an index; write the table without it")
        return Image(values=values.T if names or path.suffix.lower() == _COLUMNS_ARE_SERIES else values)

    def header(self, path: Path) -> Header:
        """(rows, columns): text tells its shape only when it is read."""
        return Header(shape=self.read(path).values.shape)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """Four lines of five numbers."""
        values = np.arange(20).reshape(4, 5) / 3
        np.savetxt(path, values, delimiter=_DELIMITERS.get(path.suffix, " "))
        return values.shape[::-1] if path.suffix == _COLUMNS_ARE_SERIES else values.shape


def _lines(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The names of the columns, if they have any, and the cells by the number of their line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = _DELIMITERS.get(path.suffix.lower())
            names, lines = _by_delimiter(file, delimiter) if delimiter else _by_blanks(file)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is no UTF-8 text: byte {error.start}") from error
    except csv.Error as error:
        raise UnreadableError(f"is no table: {error}") from error
    first = next(iter(lines), 0)
    width = len(lines.get(first, []))
    for line, cells in lines.items():
        if len(cells) != width:
            raise UnreadableError(f"line {line} has {len(cells)} cells, line {first} has {width}")
    if first and _is_header(lines[first]):
        return [cell.strip() for cell in lines.pop(first)], lines
    if first and _is_numbering(list(lines.values())):
        return [cell.strip() for cell in lines.pop(first)], lines
    return names if len(names) == width else [], lines


def _by_delimiter(file: Iterable[str], delimiter: str) -> tuple[list[str], dict[int, list[str]]]:
    """No names, which are a line as any, and the lines without blank ones at the end."""
    lines = list(csv.reader(file, delimiter=delimiter, strict=True))
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    return [], dict(enumerate(lines, 1))


def _by_blanks(file: Iterable[str]) -> tuple[list[str], dict[int, list[str]]]:
    """The words of the last comment before the numbers, and the lines that are no comments."""
    words: list[str] = []
    lines = {}
    for number, line in enumerate(file, 1):
        content, _, comment = line.partition("#")
        if "," in content:  # which may separate cells, or be a decimal one
            raise UnreadableError(f"line {number} has a comma; cells are separated by blanks, and decimals have points")
        if cells := content.split():
            lines[number] = cells
        elif comment.strip() and not lines:
            words = comment.replace("#", " ").split()  # C-PAC writes one before each name
    return words, lines


def _is_header(cells: Sequence[str]) -> bool:
    names = [cell.strip() for cell in cells if not is_missing(cell.strip())]
    return bool(names) and all(_parsed(name) is None for name in names)


def _is_numbering(lines: Sequence[Sequence[str]]) -> bool:
    """Whether the first line numbers regions as an atlas does, 2001, 2002, 2101 ..., above lines of decimals.

    One that counts might be an index as well.
    """
    numbers = [cell.strip() for cell in lines[0]]
    are_whole = all(cell.isascii() and cell.isdecimal() for cell in numbers)
    if len(numbers) < 3 or len(lines) < 2 or not are_whole or len(set(numbers)) < len(numbers):
        return False
    has_decimals = all("." in "".join(cells) for cells in lines[1:])
    return has_decimals and _counts_from(np.array(numbers, dtype=np.float64)) is None


def _numbers(cells: Sequence[str], line: int) -> list[float]:
    try:
        if _is_plain("".join(cells)):
            return [float(cell) for cell in cells]
    except ValueError:
        pass
    return [_number(cell.strip(), line, column) for column, cell in enumerate(cells, 1)]


def _number(cell: str, line: int, column: int) -> float:
    if is_missing(cell):
        return float("nan")
    number = _parsed(cell)
    if number is None or _THOUSANDS.fullmatch(cell):
        shown = cell if len(cell) <= 40 else f"{cell[:40]}..."
        hint = "; cells are separated by commas in .csv, by tabs in .tsv files" if re.search("[;\t]", cell) else ""
        raise UnreadableError(f"line {line}, column {column} is {shown!r}, no number{hint}")
    return number


def _parsed(cell: str) -> float | None:
    if not _is_plain(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return float(cell.replace(",", ".")) if _DECIMAL_COMMA.fullmatch(cell) else None


def _is_plain(text: str) -> bool:
    """False where float() would take what is no number in a table: 1_000, Arabic digits."""
    return text.isascii() and "_" not in text


def _check_index(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    for what, numbers in (("line", values[0]), ("column", values[:, 0])):
        start = _counts_from(numbers[1:] if np.isnan(numbers[0]) else numbers)  # the corner of a table that has both
        if start is not None:
            raise UnreadableError(
                f"its first {what} counts {start}, {start + 1}, {start + 2} ...: an index, no values; "
                "write the table without it"
            )


def _counts_from(numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> int | None:
    """0 or 1, where at least three numbers count from there."""
    counted = np.arange(len(numbers))
    starts = (start for start in (0, 1) if len(numbers) > 2 and np.array_equal(numbers, counted + start))
    return next(starts, None)
