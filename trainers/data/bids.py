"""BIDS data sets: `sub-X/[ses-Y/]<datatype>/sub-X[_ses-Y][_key-value...]_<suffix><extension>` and their tables.

Names are matched here, not by pybids, which indexes a whole data set into a database before it answers. The root's
`sub-` folders are searched and nothing else: a folder in `derivatives` is a data set of its own.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trainers.config import DataConfig
from trainers.data import readers
from trainers.data.listing import Listed, Listing, nameless
from trainers.data.table import Row, Table, check_columns, is_missing, read_table
from trainers.errors import UserError, nearest

_SHOWN = 3


def list_bids(config: DataConfig, base: Path) -> Listing:
    """The images with `data.suffix` and `data.entities`, one for each subject and session, with their rows.

    A row is the subject's of participants.tsv; columns of its sessions.tsv, where there is one, take the place
    of those of the same name, as n/a for a session that is not in it. Subjects without an image, images without
    a subject and sessions with several images are listed with their problem.

    Raises UserError where there is no such folder or no participants.tsv, a table is unusable or has a subject
    or session twice, or nothing matches.
    """
    root = base / str(config.bids)
    if not root.is_dir():
        raise UserError(f"data.bids: no such folder: {root}")
    people = _read_people(root, config.id)
    scans: dict[tuple[str, str | None], list[_File]] = defaultdict(list)
    for file in _select(list(_files(root)), config):
        scans[file.scan].append(file)
    listed = [nameless(row, config.id) for row in people.table.rows if is_missing(row.cells[config.id])]
    listed += [_listed(subject, session, files, people) for (subject, session), files in scans.items()]
    scanned = {subject for subject, _ in scans}
    for subject in people.rows:
        if subject not in scanned:
            row = people.row(subject, None)
            listed.append(Listed(f"sub-{subject}", f"sub-{subject}", row, None, f"no image {_described(config)}"))
    return Listing(people.table.name, people.columns, tuple(listed))


@dataclass(frozen=True)
class _File:
    """`tags` are what its name says, with `suffix`, `extension` and `datatype`; `sub` and `ses` are its folders'."""

    path: Path
    sub: str
    ses: str | None
    tags: Mapping[str, str]

    @property
    def scan(self) -> tuple[str, str | None]:
        """Subject and session."""
        return self.sub, self.ses or self.tags.get("ses")

    @property
    def is_misplaced(self) -> bool:
        """Whether the name is of another subject or session than the folder."""
        return (self.tags["sub"], self.tags.get("ses")) != self.scan


@dataclass(frozen=True)
class _People:
    """participants.tsv with its rows by subject, and the subjects' sessions.tsv with theirs by session."""

    table: Table
    rows: Mapping[str, Mapping[str, str]]
    sessions: Mapping[str, tuple[Table, Mapping[str, Mapping[str, str]]]]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of all tables together, each once."""
        tables = [self.table, *(table for table, _ in self.sessions.values())]
        return tuple(dict.fromkeys(column for table in tables for column in table.columns))

    def row(self, subject: str, session: str | None) -> dict[str, str]:
        """All that is known of a scan; n/a in what its tables lack."""
        row = {**dict.fromkeys(self.columns, "n/a"), **self.rows[subject]}
        if session is None or subject not in self.sessions:
            return row
        table, rows = self.sessions[subject]
        # For a session without a row, the baseline's age of participants.tsv would be wrong.
        return {**row, **(rows[session] if session in rows else dict.fromkeys(table.columns, "n/a"))}


def _read_people(root: Path, column: str) -> _People:
    table = read_table(root / "participants.tsv", "data.bids")
    check_columns(table.name, table.columns, [("data.id", column)])
    rows = _by_label(table, column, "sub-")
    sessions = {}
    for subject in rows:
        path = root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
        if path.is_file():
            visits = read_table(path, "data.bids")
            check_columns(visits.name, visits.columns, [("data.bids", "session_id")])
            sessions[subject] = visits, _by_label(visits, "session_id", "ses-")
    return _People(table, rows, sessions)


def _by_label(table: Table, column: str, prefix: str) -> dict[str, Mapping[str, str]]:
    """Rows by their id without its prefix, which some data sets leave out."""
    first: dict[str, Row] = {}
    for row in table.rows:
        label = row.cells[column].removeprefix(prefix)
        if label in first:
            raise UserError(
                f"data.bids: {table.name} has '{prefix}{label}' twice, in lines {first[label].line} and {row.line}; "
                "one row for each is allowed"
            )
        if not is_missing(row.cells[column]):
            first[label] = row
    return {label: row.cells for label, row in first.items()}


def _listed(subject: str, session: str | None, files: Sequence[_File], people: _People) -> Listed:
    whose = f"sub-{subject}"
    name = whose if session is None else f"{whose}_ses-{session}"
    path = files[0].path if len(files) == 1 else None
    if subject not in people.rows:
        return Listed(name, whose, {}, path, f"{people.table.name} has no row for {whose}")
    return Listed(name, whose, people.row(subject, session), path, _problem(name, files))


def _problem(name: str, files: Sequence[_File]) -> str | None:
    for file in files:
        if file.is_misplaced:
            return f"{file.path.name} lies in the folder of {name}"
    if len(files) == 1:
        return None
    keys = sorted({key for file in files for key in file.tags})
    values = {key: sorted({file.tags.get(key, "null") for file in files}) for key in keys}
    choices = " or ".join(f"{key} ({', '.join(values[key])})" for key in keys if len(values[key]) > 1)
    names = [file.path.name for file in files]
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    return f"{len(names)} images match: {shown}; data.entities can choose by {choices}"


def _select(files: Sequence[_File], config: DataConfig) -> list[_File]:
    """Files that the spec asks for. Raises UserError, naming what there is, where a field leaves none."""
    endings = set(readers.names()) if "extension" not in config.entities else {file.tags["extension"] for file in files}
    images = [file for file in files if file.tags["extension"].lower() in endings]
    chosen = [file for file in images if file.tags["suffix"] == config.suffix]
    if not chosen:
        suffixes = {file.tags["suffix"] for file in images}
        allowed = nearest(str(config.suffix), suffixes)
        raise UserError(f"data.suffix: no image in {config.bids} ends in '_{config.suffix}'; {allowed}")
    for key, value in config.entities.items():
        left = [file for file in chosen if file.tags.get(key) == value]
        if not left:
            raise UserError(f"data.entities: no '_{config.suffix}' image {_unmatched(key, value, chosen)}")
        chosen = left
    return chosen


def _unmatched(key: str, value: str | None, files: Sequence[_File]) -> str:
    found = {file.tags[key] for file in files if key in file.tags}
    if not found:
        return f"has an entity '{key}'; {nearest(key, {key for file in files for key in file.tags})}"
    if value is None:
        return f"is without {key}; allowed: {', '.join(sorted(found))}"
    return f"has {key} '{value}'; {nearest(value, found)}"


def _described(config: DataConfig) -> str:
    entities = ", ".join(f"{key} {value or 'null'}" for key, value in config.entities.items())
    return f"ends in '_{config.suffix}'" + (f" with {entities}" if entities else "")


def _files(root: Path) -> Iterator[_File]:
    for subject in _folders(root, "sub-"):
        yield from _files_of(subject, subject, None)
        for session in _folders(subject, "ses-"):
            yield from _files_of(session, subject, _label(session))


def _files_of(folder: Path, subject: Path, session: str | None) -> Iterator[_File]:
    for datatype in _folders(folder, ""):
        for entry in _entries(datatype):
            tags = _tags(entry.name)
            if tags is not None:
                yield _File(Path(entry.path), _label(subject), session, {**tags, "datatype": datatype.name})


def _tags(name: str) -> dict[str, str] | None:
    """What a BIDS name says, or None for another name.

    >>> _tags("sub-01_task-rest_bold.nii.gz")
    {'sub': '01', 'task': 'rest', 'suffix': 'bold', 'extension': '.nii.gz'}
    """
    stem, dot, extension = unicodedata.normalize("NFC", name).partition(".")
    *entities, suffix = stem.split("_")
    if not stem.startswith("sub-") or not entities or not all("-" in entity for entity in entities):
        return None
    return {**dict(entity.split("-", 1) for entity in entities), "suffix": suffix, "extension": dot + extension}


def _label(folder: Path) -> str:
    return unicodedata.normalize("NFC", folder.name).partition("-")[2]


def _folders(folder: Path, prefix: str) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.name.startswith(prefix) and entry.is_dir():
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"data.bids: {folder} cannot be read: {error.strerror}") from error
