"""The scans of a study out of a listing: other tables' columns joined, codes for missing values, conditions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from contrasweep.trainers.config import Cell, Condition, DataConfig, JoinConfig
from contrasweep.trainers.data.listing import Listed, Listing, unique
from contrasweep.trainers.data.table import Row, check_columns, is_missing, number, read_table
from contrasweep.trainers.errors import UserError

_SHOWN = 3


def select(listing: Listing, config: DataConfig, base: Path, named: Iterable[str]) -> tuple[Listing, int]:
    """The listing with `data.join`, `data.missing` and `data.where` applied, and how many scans were left out.

    `named` are columns that say whose a scan is and where: their cells are never codes for missing values. Scans that
    have a problem stay, so that they are told; scans that several rows have get one. Raises UserError on a table that
    cannot be joined, or a column of a condition that is not there.
    """
    for number_, join in enumerate(config.join):
        listing = _joined(listing, join, base, f"data.join[{number_}]", config)
    listing = _without_codes(listing, config.missing, frozenset(named))
    check_columns(listing.name, listing.columns, [(f"data.where.{column}", column) for column in config.where])
    kept = tuple(scan for scan in listing.scans if scan.problem is not None or fulfils(scan.row, config.where))
    if not kept:
        raise UserError(f"data.where: none of the {len(listing.scans)} scans in {listing.name} fulfils it")
    return unique(replace(listing, scans=kept), config), len(listing.scans) - len(kept)


def same(cell: str, value: Cell) -> bool:
    """Whether a cell is a value: the same number, the same text, true and false however they are written, or empty.

    >>> same("01", 1), same("1", "1.0"), same("TRUE", True), same("M", "m"), same("n/a", None)
    (True, True, True, False, True)
    """
    if value is None:
        return is_missing(cell)
    if isinstance(value, bool):
        return cell.lower() == str(value).lower()
    if cell == str(value):
        return True
    told = number(cell)
    return told is not None and told == number(str(value))


def holds(condition: Condition, cell: str) -> bool:
    """Whether a cell fulfils a condition."""
    value = number(cell)
    if condition.values is not None and not any(same(cell, one) for one in condition.values):
        return False
    if condition.min is not None and (value is None or value < condition.min):
        return False
    if condition.max is not None and (value is None or value > condition.max):
        return False
    return not any(same(cell, one) for one in condition.excluded)


def fulfils(row: Mapping[str, str], where: Mapping[str, Condition]) -> bool:
    """Whether a row fulfils all conditions, by column."""
    return all(holds(condition, row[column]) for column, condition in where.items())


def _without_codes(listing: Listing, codes: Sequence[Cell], named: frozenset[str]) -> Listing:
    if not codes:
        return listing
    numbers = {value for code in codes if (value := number(str(code))) is not None}
    texts = {str(code) for code in codes}

    def cleared(column: str, cell: str) -> str:
        return "n/a" if column not in named and (cell in texts or number(cell) in numbers) else cell

    scans = [replace(s, row={column: cleared(column, cell) for column, cell in s.row.items()}) for s in listing.scans]
    return replace(listing, scans=tuple(scans))


def _joined(listing: Listing, join: JoinConfig, base: Path, field: str, config: DataConfig) -> Listing:
    other = read_table(base / join.table, f"{field}.table")
    check_columns(listing.name, listing.columns, [(f"{field}.on", column) for column in join.on])
    check_columns(other.name, other.columns, [(f"{field}.on", column) for column in join.on.values()])
    columns = [c for c in other.columns if c not in join.on.values()] if join.columns is None else list(join.columns)
    check_columns(other.name, other.columns, [(f"{field}.columns", column) for column in columns])
    for column in columns:
        if column in listing.columns:
            choice = "name the others as columns" if join.columns is None else "allowed: columns that it has not"
            raise UserError(f"{field}.columns: {listing.name} has a column '{column}' already; {choice}")
    rows = _by_key(other.rows, list(join.on.values()))
    labels = config.label in columns
    needed = not labels or config.unlabelled == "reject"
    scans = tuple(_with(scan, join, columns, rows, other.name, needed) if scan.row else scan for scan in listing.scans)
    if labels:
        scans = tuple(_first_visits(scans, join, config, other.name))
    return replace(listing, columns=(*listing.columns, *columns), scans=scans)


def _first_visits(scans: Sequence[Listed], join: JoinConfig, config: DataConfig, name: str) -> Iterator[Listed]:
    """The scans; a label that one row gives to several of a subject is the first one's alone: later ones are older."""
    first: dict[tuple[str, ...], str] = {}
    keys = [(scan.subject, *(scan.row.get(column, "") for column in join.on)) for scan in scans]
    for key, scan in zip(keys, scans, strict=True):
        first[key] = min(first.get(key, scan.id), scan.id)
    for key, scan in zip(keys, scans, strict=True):
        if scan.problem is None and scan.id != first[key]:
            told = f"{name} has one '{config.label}' for several scans of {scan.subject}, which is that of {first[key]}"
            if config.unlabelled == "train":
                scan = replace(scan, row={**scan.row, config.label: "n/a"})
            else:
                scan = replace(scan, problem=f"{told}; data.join's on must name the visit, too")
        yield scan


def _by_key(rows: Iterable[Row], columns: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(map(row.cells.__getitem__, columns))].append(row)
    return found


def _with(
    scan: Listed,
    join: JoinConfig,
    columns: Sequence[str],
    rows: Mapping[tuple[str, ...], Sequence[Row]],
    name: str,
    needed: bool,
) -> Listed:
    """A scan with the cells of the one row that has its key; several may say the same, and none may be `needed`."""
    key = tuple(map(scan.row.__getitem__, join.on))
    found = rows.get(key, ()) if not any(map(is_missing, key)) else ()
    cells = {column: found[0].cells[column] for column in columns} if found else dict.fromkeys(columns, "n/a")
    problem = scan.problem
    if problem is None and (found or needed) and (wrong := _unjoinable(found, columns)):
        key_shown = ", ".join(f"{column} '{cell}'" for column, cell in zip(join.on.values(), key, strict=True))
        problem = f"{name} has {wrong[0]} with {key_shown}{wrong[1]}"
    return Listed(scan.id, scan.subject, {**scan.row, **cells}, scan.paths, problem, scan.line)


def _unjoinable(found: Sequence[Row], columns: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with the rows that have a scan's key, told before and after the key."""
    if not found:
        return "no row", ""
    differing = [c for c in columns if len({row.cells[c] for row in found}) > 1] if len(found) > 1 else []
    if not differing:
        return None
    lines = ", ".join(str(row.line) for row in found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")
    return f"{len(found)} rows", f", in lines {lines}, which differ in {', '.join(differing[:_SHOWN])}"
