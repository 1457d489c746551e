"""BIDS data sets: `sub-X/[ses-Y/]<datatype>/sub-X[_ses-Y][_key-value...]_<suffix><extension>` and their tables.

Names are matched here, not by pybids, which indexes a whole data set into a database before it answers. The root's
`sub-` folders are searched and nothing else: a folder in `derivatives` is a data set of its own.
"""

import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.listing import Listed, Listing, nameless
from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.table import Row, Table, check_columns, is_missing, read_table
from contrasweep.trainers.errors import UserError, nearest

SESSION = "session_id"
_SHOWN = 3
_LEVELS = 3
"""Folders above a derivative that are looked through for its tables: derivatives/NAME/VERSION at most."""
_INDICES = frozenset({"chunk", "echo", "flip", "inv", "run", "split"})


def list_bids(config: DataConfig, base: Path, labels_needed: bool = True) -> Listing:
    """The images with `data.suffix` and `data.entities`, one for each subject and session, with their rows.

    A row is the subject's of the participants table, or its own where `data.session` names the column that tells
    them apart; columns of the subject's sessions.tsv, where there is one, take the place of those of the same name, as
    n/a for a session that is not in it. What the participants table says once of several sessions is the label of the
    first of them alone. Subjects without an image, images without a subject and sessions with several images are
    listed with their problem.

    Where labels are not needed, nor are tables: what none of them says is n/a, of any session.

    Raises UserError where there is no such folder or no participants table, a table is unusable or has a subject
    or session twice, or nothing matches.
    """
    root = base / str(config.bids)
    if not root.is_dir():
        raise UserError(f"data.bids: no such folder: {root}")
    files = list(_files(root))
    if not files:
        raise UserError(f"data.bids: {root} holds no files of subjects, as sub-X/[ses-Y/]anat/sub-X_... are")
    people = _read_people(config, base, files, labels_needed)
    scans: dict[tuple[str, str | None], list[_File]] = defaultdict(list)
    for file in _select(files, config):
        scans[file.scan].append(file)
    listed = [nameless(row, config.id) for row in people.table.rows if is_missing(row.cells[config.id])]
    listed += [_listed(subject, session, files, people) for (subject, session), files in scans.items()]
    scanned = {subject for subject, _ in scans}
    for subject, rows in people.rows.items():
        if subject not in scanned:
            row, name = {**dict.fromkeys(people.columns, "n/a"), **next(iter(rows.values()))}, f"sub-{subject}"
            listed.append(Listed(name, name, row, (), f"no image {_described(config)}"))
    return Listing(people.table.name, people.columns, tuple(listed))


def bids_tables(config: DataConfig, base: Path) -> Iterator[Path]:
    """The tables that `list_bids` reads, as far as they are there."""
    if table := participants_table(config, base):
        yield table
    for folder in _data_sets(base / str(config.bids)):
        yield from sorted(folder.glob("sub-*/sub-*_sessions.tsv"))


def participants_table(config: DataConfig, base: Path) -> Path | None:
    """The table that the spec names, or that of the data set or, failing that, of what it was made from."""
    if config.participants is not None:
        return base / config.participants
    tables = (folder / "participants.tsv" for folder in _data_sets(base / str(config.bids)))
    return next((table for table in tables if table.is_file()), None)


def _data_sets(root: Path) -> list[Path]:
    """A data set, those that its description names as its sources, and the folders above it, the nearest first."""
    above = list(root.absolute().parents)[:_LEVELS]
    return [root, *(root / source for source in _sources(root)), *above]


def _sources(root: Path) -> list[str]:
    """Folders that dataset_description.json says a derivative was made from, as far as they are on this machine."""
    try:
        told = json.loads((root / "dataset_description.json").read_text(encoding="utf-8-sig"))
        links = dict(told.get("DatasetLinks") or {})
        urls = [str(source["URL"]) for source in told.get("SourceDatasets") or () if source.get("URL")]
    except (OSError, ValueError, TypeError, AttributeError):  # it is not needed, and other programs wrote it
        return []
    named = [links.get(url.split(":")[1], url) if url.startswith("bids:") else url for url in urls]
    return [unquote(url.removeprefix("file://")) for url in named if "://" not in url.removeprefix("file://")]


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
    """The participants table with its rows by subject and session, and the subjects' sessions.tsv with theirs.

    Rows are under the session None where the table has one for each subject. `visits` are the sessions that each
    subject was scanned in.
    """

    table: Table
    rows: Mapping[str, Mapping[str | None, Mapping[str, str]]]
    by_session: bool
    sessions: Mapping[str, tuple[Table, Mapping[str, Mapping[str, str]]]]
    visits: Mapping[str, Sequence[str]]
    label: str
    labels_needed: bool

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of all tables together, each once, and the session's."""
        tables = [self.table, *(table for table, _ in self.sessions.values())]
        return tuple(dict.fromkeys([*(column for table in tables for column in table.columns), SESSION]))

    def row(self, subject: str, session: str | None) -> dict[str, str]:
        """All that is known of a scan; n/a in what its tables lack. Raises UnreadableError where that misleads."""
        blank = dict.fromkeys(self.columns, "n/a")
        if session is not None:
            blank[SESSION] = f"ses-{session}"
        key = session if self.by_session else None
        if key not in self.rows.get(subject, {}):
            if not self.labels_needed:
                return blank
            raise UnreadableError(f"{self.table.name} has no row for sub-{subject}{f' ses-{key}' if key else ''}")
        row = {**blank, **self.rows[subject][key]}
        if self.by_session or session is None:
            return row
        table, told = self.sessions.get(subject, (None, {}))
        if table is not None:
            row |= told.get(session, dict.fromkeys(set(table.columns) - {SESSION}, "n/a"))
        told_once = self.label in self.table.columns and (table is None or self.label not in table.columns)
        if told_once and session != self.visits[subject][0]:
            if not self.labels_needed:
                return row | {SESSION: blank[SESSION], self.label: "n/a"}
            raise UnreadableError(
                f"{self.table.name} has one '{self.label}' for {len(self.visits[subject])} sessions of sub-{subject}, "
                f"which is the first one's; give a sub-{subject}_sessions.tsv with this one's, or data.session"
            )
        return row | {SESSION: blank[SESSION]}


def _read_people(config: DataConfig, base: Path, files: Sequence[_File], labels_needed: bool) -> _People:
    root = base / str(config.bids)
    path = participants_table(config, base)
    if path is None and labels_needed:
        raise UserError(
            f"data.bids: no participants.tsv in {root}, in a source that its dataset_description.json names, or above; "
            "name one as data.participants"
        )
    field = "data.bids" if config.participants is None else "data.participants"
    table = read_table(path, field) if path else Table("the data set", (config.id,), ())
    wanted = [("data.id", config.id), *([("data.session", config.session)] if config.session is not None else [])]
    check_columns(table.name, table.columns, wanted)
    visits: dict[str, set[str]] = defaultdict(set)
    for file in files:
        if file.scan[1] is not None:
            visits[file.sub].add(file.scan[1])
    rows: dict[str, dict[str | None, Mapping[str, str]]] = defaultdict(dict)
    for (subject, session), cells in _by_scan(table, config, field).items():
        rows[subject][session] = cells
    sessions = {} if config.session is not None else _read_sessions(root, rows)
    ordered = {subject: sorted(names) for subject, names in visits.items()}
    return _People(table, rows, config.session is not None, sessions, ordered, config.label, labels_needed)


def _read_sessions(root: Path, subjects: Iterable[str]) -> dict[str, tuple[Table, Mapping[str, Mapping[str, str]]]]:
    folders = _data_sets(root)
    sessions: dict[str, tuple[Table, Mapping[str, Mapping[str, str]]]] = {}
    for subject in subjects:
        name = f"sub-{subject}/sub-{subject}_sessions.tsv"
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is not None:
            visits = read_table(path, "data.bids")
            check_columns(visits.name, visits.columns, [("data.bids", SESSION)])
            sessions[subject] = visits, _by_label(visits, SESSION, "ses-")
    return sessions


def _by_scan(table: Table, config: DataConfig, field: str) -> dict[tuple[str, str | None], Mapping[str, str]]:
    """Rows by subject and, where a column tells it, session, both without their prefixes."""
    first: dict[tuple[str, str | None], Row] = {}
    for row in table.rows:
        subject = row.cells[config.id].removeprefix("sub-")
        session = None if config.session is None else row.cells[config.session].removeprefix("ses-")
        if (subject, session) in first:
            scan = f"sub-{subject}" + (f" ses-{session}" if session is not None else "")
            more = "" if session is not None else ", or name the column that tells its sessions apart as data.session"
            raise UserError(
                f"{field}: {table.name} has '{scan}' twice, in lines {first[subject, session].line} and {row.line}; "
                f"one row for each is allowed{more}"
            )
        if not is_missing(row.cells[config.id]):
            first[subject, session] = row
    return {scan: row.cells for scan, row in first.items()}


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
    paths = (files[0].path,) if len(files) == 1 else ()
    if subject not in people.rows and people.labels_needed:
        return Listed(name, whose, {}, paths, f"{people.table.name} has no row for {whose}")
    try:
        return Listed(name, whose, people.row(subject, session), paths, _problem(name, files))
    except UnreadableError as error:
        return Listed(name, whose, {}, paths, str(error))


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
        left = [file for file in chosen if _is(key, file.tags.get(key), value)]
        if not left:
            raise UserError(f"data.entities: no '_{config.suffix}' image {_unmatched(key, value, chosen)}")
        chosen = left
    return chosen


def _is(key: str, tag: str | None, value: str | int | None) -> bool:
    """Whether a name's entity is the one asked for: indices, and what is asked for as a number, in any padding."""
    if tag is None or value is None:
        return tag == value
    if isinstance(value, int) or key in _INDICES:
        return tag == str(value) or (tag.isdecimal() and str(value).isdecimal() and int(tag) == int(value))
    return tag == value


def _unmatched(key: str, value: str | int | None, files: Sequence[_File]) -> str:
    found = {file.tags[key] for file in files if key in file.tags}
    if not found:
        return f"has an entity '{key}'; {nearest(key, {key for file in files for key in file.tags})}"
    if value is None:
        return f"is without {key}; allowed: {', '.join(sorted(found))}"
    return f"has {key} '{value}'; {nearest(str(value), found)}"


def _described(config: DataConfig) -> str:
    entities = ", ".join(f"{key} {'null' if value is None else value}" for key, value in config.entities.items())
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
