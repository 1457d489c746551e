"""The participants: one scan, one row of a table, one label."""

import gc
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from contrasweep.trainers.config import FILES, DataConfig, SplitByFiles
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.bids import list_bids
from contrasweep.trainers.data.listing import Listed, Listing, list_table
from contrasweep.trainers.data.people import names_people
from contrasweep.trainers.data.select import fulfils, select
from contrasweep.trainers.data.several import of_image
from contrasweep.trainers.data.split_files import SplitLists
from contrasweep.trainers.data.table import bound, check_columns, is_missing, number
from contrasweep.trainers.data.template import image_templates
from contrasweep.trainers.errors import UserError

_DICOM_AGE = re.compile(r"(\d{3})([DWMY])", re.IGNORECASE | re.ASCII)
_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_YEARS = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:y|y/?o|yrs?|years?|ans?|jahre?|años|anni)(?:[\s-]*old|[\s-]*of age)?\.?", re.IGNORECASE
)
_SHORT_AGE = re.compile(
    r"(?:(\d+)\s*y(?:rs?|ears?)?\.?,?\s*)?(\d+(?:\.\d+)?)\s*([dwm])(?:|ays?|ks?|eeks?|os?|onths?)\.?(?:\s*old)?",
    re.IGNORECASE | re.ASCII,
)
"""Such as `6 years 3 months` or `18 mo`."""
_RANGE = re.compile(r"\d+(?:\.\d+)?\s*(?:[-–—]|to|\.\.)\s*\d+(?:\.\d+)?|[\[(]\d[^])]*[])]", re.ASCII)
_BEYOND = re.compile(
    r"(\d+)\s*(?:y(?:rs?|ears?)?)?\s*(?:\+|(?:and|or)\s*(?:older|over|above|more))", re.IGNORECASE | re.ASCII
)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
DESCRIBING = frozenset({"site", "center", "centre", "scanner", "study", "institution", "sex", "gender"})
"""Columns, in upper or lower case, that tell site and sex."""


@dataclass(frozen=True)
class Subject:
    """One scan with a usable row; whether it can be read shows when it is read.

    `id` is unique among all scans: the subject's, with `_session` where there are sessions; `subject` is whose
    scan it is. `label` is in the table's own unit, None where the scan is kept without. `strata` and `covariates` hold
    the values of their columns: numbers where the column is numeric for all usable scans, strings otherwise, "" where
    missing; `described` those of columns that tell site and sex; `numbers` those that the transforms read;
    `split_cells` those that the split reads, "" where missing; `people` those of columns that name people, but for the
    ids'. `paths` are those of the images that `image_names` names, in this order; one alone has the name "".
    `trainable` says whether `data.train.where` is fulfilled.
    """

    id: str
    subject: str
    paths: tuple[Path, ...]
    label: float | None
    group: str | None
    strata: dict[str, str | float]
    described: dict[str, str]
    numbers: dict[str, float]
    split_cells: dict[str, str] = field(default_factory=dict)
    covariates: dict[str, str | float] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    image_names: tuple[str, ...] = ("",)
    trainable: bool = True

    @property
    def session(self) -> str:
        """Which of the subject's sessions it is; empty where there are none."""
        return self.id.removeprefix(self.subject).removeprefix("_")

    @property
    def path(self) -> Path:
        """That of its image, or of the first of several."""
        return self.paths[0]

    @property
    def images(self) -> Iterable[tuple[str, Path]]:
        """Name and path of each image."""
        return zip(self.image_names, self.paths, strict=True)


class Labelled(Protocol):
    """What may have a label."""

    @property
    def label(self) -> float | None: ...


@dataclass(frozen=True)
class Rejected:
    """A scan left out, by its id, and why. Of several images the reason names the one, and there is no `path`."""

    subject: str
    path: Path | None
    reason: str

    @classmethod
    def of(cls, scan: Subject, reason: str) -> "Rejected":
        """A scan that was thought usable."""
        return cls(scan.id, scan.path if len(scan.paths) == 1 else None, reason)


def read_subjects(config: DataConfig, base: Path, columns: Sequence[str] = ()) -> tuple[list[Subject], list[Rejected]]:
    """Usable scans of the table or BIDS data set sorted by id, and those that are not, sorted as well.

    `config.participants` and `config.bids` are relative to `base`, the image template to the table's folder.
    `columns` are those whose numbers the transforms read.

    Raises UserError on what makes the whole table unusable: no such file, a missing column, an unknown
    field in the image template, a label column without numbers, one label for all, or none that can be used.
    """
    return read_scans(config, base, columns)[:2]


def read_scans(
    config: DataConfig, base: Path, columns: Sequence[str] = ()
) -> tuple[list[Subject], list[Rejected], int]:
    """What `read_subjects` gives, and how many scans `data.where` left out."""
    with _uncollected():
        listing = list_table(config, base) if config.bids is None else list_bids(config, base)
        listing, left_out = select(listing, config, base, _naming(config))
        check_columns(listing.name, listing.columns, _wanted(config, columns))
        return (*_judged(listing, config, columns, split_lists(config, base)), left_out)


def read_unseen(
    config: DataConfig,
    base: Path,
    columns: Sequence[str],
    numeric: Collection[str],
    by: Sequence[str] = (),
    label_needed: bool = False,
) -> tuple[list[Subject], list[Rejected]]:
    """What `read_subjects` gives of scans that a model is to predict: labels may be missing.

    So may their column, unless `label_needed`. A label that is no number counts as missing. `numeric` are the
    covariates that are numbers, and not text; columns of `by` are in `described`, too. Raises UserError as
    `read_subjects` does, but never for what labels are.
    """
    with _uncollected():
        listing = list_table(config, base) if config.bids is None else list_bids(config, base, labels_needed=False)
        listing, _ = select(listing, config, base, _naming(config))
        if label_needed:
            check_columns(listing.name, listing.columns, [("label", config.label)])
        scans = tuple(replace(scan, row=_with_label(scan.row, config)) for scan in listing.scans)
        listing = replace(listing, scans=scans, columns=tuple(dict.fromkeys([*listing.columns, config.label])))
        check_columns(listing.name, listing.columns, [*_wanted(config, columns), *(("by", column) for column in by)])
        usable, rejected = _usable(listing, config, columns, None, numeric)
        rows = {scan.id: scan.row for scan in listing.scans}
        told = ({column: _described(rows[scan.id][column]) for column in by} for scan in usable)
        return [replace(scan, described=scan.described | own) for scan, own in zip(usable, told, strict=True)], rejected


def _with_label(row: Mapping[str, str], config: DataConfig) -> Mapping[str, str]:
    cell = row.get(config.label, "")
    return {**row, config.label: "" if _label_problem(cell, config) else cell} if row else row


@contextmanager
def _uncollected() -> Iterator[None]:
    """Tables are millions of small objects, none of them garbage; to look for it would take most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _judged(
    listing: Listing, config: DataConfig, columns: Sequence[str], lists: SplitLists | None
) -> tuple[list[Subject], list[Rejected]]:
    subjects, rejected = _usable(listing, config, columns, lists)
    _check_labels(listing, config.label)
    labels = labels_of(subjects)
    if subjects and not labels:
        raise UserError(f"data.label: no scan that can be used has a number in column '{config.label}'")
    check_label_range(labels, config.label, rejected)
    return _sampled(subjects, config.sample), rejected


def _sampled(scans: list[Subject], size: int | None) -> list[Subject]:
    """All scans of so many labelled subjects, at equal distances in the order of their labels, and of the others."""
    if size is None:
        return scans
    labels = {scan.subject: scan.label for scan in reversed(scans) if scan.label is not None}
    labelled = sorted(labels, key=lambda name: (labels[name], name))
    others = sorted({scan.subject for scan in scans} - {*labels})
    kept = {name for people in (labelled, others) for name in _spread(people, size)}
    return [scan for scan in scans if scan.subject in kept]


def _spread(people: Sequence[str], size: int) -> Sequence[str]:
    """So many of them, two at least, at equal distances."""
    if size >= len(people):
        return people
    return [people[round(place * (len(people) - 1) / (size - 1))] for place in range(size)]


def _usable(
    listing: Listing,
    config: DataConfig,
    columns: Sequence[str],
    lists: SplitLists | None,
    numeric: Collection[str] | None = None,
) -> tuple[list[Subject], list[Rejected]]:
    """Scans that can be used and that cannot, whatever the labels of all of them say together.

    Of strata and covariates those are `numeric` that are numbers in all scans, where nothing is said.
    """
    owners = Counter(path for scan in listing.scans for path in scan.paths)
    usable: list[Listed] = []
    rejected: list[Rejected] = []
    for scan in listing.scans:
        reason = _problem(scan, config, columns, numeric or ())
        if reason is None:
            reason = _sharing(scan, config.image_names, owners)
        if reason is None:
            usable.append(scan)
        else:
            rejected.append(Rejected(scan.id, scan.path, reason))
    if numeric is None:
        named = (*config.strata, *config.covariates)
        numeric = {name for name in named if all(_is_quantity(scan.row[name]) for scan in usable)}
    subjects = [_subject(scan, config, columns, numeric, lists) for scan in usable]
    return sorted(subjects, key=lambda s: s.id), sorted(rejected, key=lambda r: r.subject)


def labels_of(scans: Iterable["Labelled"]) -> list[float]:
    """The labels of those that have one, in their order."""
    return [scan.label for scan in scans if scan.label is not None]


def outside_training(scans: Iterable[Subject]) -> frozenset[str]:
    """The ids of those that do not fulfil `data.train.where`."""
    return frozenset(scan.id for scan in scans if not scan.trainable)


def check_label_range(labels: Sequence[float], column: str, rejected: Sequence[Rejected] = ()) -> None:
    """Raise UserError where all labels are equal: there is nothing to learn. Those of the `rejected` may differ."""
    if len(labels) > 1 and min(labels) == max(labels):
        others = f"; {len(rejected)} rejected, first: {rejected[0].subject}: {rejected[0].reason}" if rejected else ""
        raise UserError(
            f"data.label: the range of '{column}' is zero: all {len(labels)} labels are {labels[0]:g}; "
            f"at least two different values are needed{others}"
        )


def unlisted_images(config: DataConfig, base: Path) -> list[Path]:
    """Files that the image template fits, that a reader may read, and that no row of the table names, sorted.

    None for BIDS, where `read_subjects` rejects them.
    """
    if config.bids is not None:
        return []
    table = base / config.listed_in
    named = {_composed(path) for scan in list_table(config, base).scans for path in scan.paths if path}
    texts = set() if any(text.lower().endswith(".txt") for text in config.images.values()) else {".txt"}  # notes
    endings = tuple(set(readers.names()) - {readers.FOLDER} - texts)
    templates = image_templates(config, table.parent).values()
    images = sorted({path for template in templates for path in template.existing()} - {table})
    return [path for path in images if path.name.lower().endswith(endings) and _composed(path) not in named]


def _composed(path: Path) -> str:
    return unicodedata.normalize("NFC", os.path.abspath(path))


def _naming(config: DataConfig) -> set[str]:
    """The columns that say whose a scan is and where it lies."""
    images = (column for template in image_templates(config, Path()).values() for column in template.columns)
    return {config.id, *images} | ({config.session} if config.session is not None else set())


def _wanted(config: DataConfig, columns: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of the spec's field and the column it names."""
    wanted = [("data.label", config.label)]
    wanted += [("data.group", config.group)] if config.group is not None else []
    wanted += [("data.covariates", column) for column in config.covariates]
    wanted += [("data.split.stratify", column) for column in config.strata]
    wanted += config.split.columns
    wanted += [(f"data.train.where.{column}", column) for column in config.train.where]
    return wanted + [("data.transforms", column) for column in columns]


def _problem(scan: Listed, config: DataConfig, columns: Sequence[str], numeric: Collection[str]) -> str | None:
    if scan.problem is not None:
        return scan.problem
    for column in (*config.covariates, *([] if config.group is None else [config.group])):
        if is_missing(scan.row[column]):
            return f"missing value: column '{column}' is '{scan.row[column]}'"
    for column in (*columns, *numeric):
        if number(scan.row[column]) is None and (column in columns or bound(scan.row[column]) is None):
            return f"is no finite number, as is needed: column '{column}' is '{scan.row[column]}'"
    return _label_problem(scan.row[config.label], config) or _images_problem(scan, config.image_names)


def _label_problem(cell: str, config: DataConfig) -> str | None:
    if is_missing(cell):
        return None if config.unlabelled == "train" else f"missing label: column '{config.label}' is '{cell}'"
    if number(cell) is not None:
        return None
    lowest = bound(cell)
    if lowest is None:
        return f"label is no finite number: column '{config.label}' is '{cell}'{_hint(cell)}"
    if config.censored == "keep":
        return None
    return f"label '{cell}' is censored; data.censored: keep reads it as {lowest:g}"


def _hint(cell: str) -> str:
    """What may have been meant by text that is no number."""
    if age := _DICOM_AGE.fullmatch(cell):
        return f" (an age as DICOM writes it: {int(age[1]) / _A_YEAR[age[2].upper()]:.4g} in years)"
    if years := _YEARS.fullmatch(cell):
        return f" (write {years[1]})"
    if age := _SHORT_AGE.fullmatch(cell):
        years_old = int(age[1] or 0) + float(age[2]) / _A_YEAR[age[3].upper()]
        return f" (an age: {years_old:.4g} in years)"
    if beyond := _BEYOND.fullmatch(cell):
        return f" (write {beyond[1]}+, which data.censored is about)"
    if _RANGE.fullmatch(cell):
        return " (a range; one number is needed)"
    if _THOUSANDS.fullmatch(cell):
        return " (thousands are written without a comma)"
    return " (a decimal comma? write a point)" if number(cell.replace(",", ".")) is not None else ""


def _images_problem(scan: Listed, names: Sequence[str]) -> str | None:
    found = {name: file_problem(path) for name, path in zip(names, scan.paths, strict=True)}
    return "; ".join(of_image(name, problem) for name, problem in found.items() if problem is not None) or None


def _sharing(scan: Listed, names: Sequence[str], owners: Mapping[Path | None, int]) -> str | None:
    """That an image is another's, too: of this scan or of another one."""
    twice = [name for name, path in zip(names, scan.paths, strict=True) if scan.paths.count(path) > 1]
    if twice:
        return f"{' and '.join(twice)} are one file"
    shared = [name for name, path in zip(names, scan.paths, strict=True) if owners[path] > 1]
    return "; ".join(of_image(name, "the table gives its image to another scan, too") for name in shared) or None


def file_problem(path: Path | None) -> str | None:
    """Why an image cannot be opened, as far as its folder or archive tells; None where it can."""
    assert path is not None
    try:
        if readers.archive(path) is not None:
            readers.check_member(path)
        else:
            path.stat()
    except readers.UnreadableError as error:
        return str(error)
    except FileNotFoundError:
        return (
            f"is a link to {path.readlink()}, which is missing (git annex get?)"
            if path.is_symlink()
            else "no such image"
        )
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return None


def split_lists(config: DataConfig, base: Path) -> SplitLists | None:
    """The files of ids that the split is made of, where it is made of files. Raises UserError as `SplitLists` does."""
    return SplitLists(config.split.files, base, config.id) if isinstance(config.split, SplitByFiles) else None


def _subject(
    scan: Listed, config: DataConfig, columns: Sequence[str], numeric: Collection[str], lists: SplitLists | None
) -> Subject:
    """A scan without a problem."""
    row = scan.row
    paths = tuple(path for path in scan.paths if path is not None)
    assert len(paths) == len(scan.paths)
    return Subject(
        id=scan.id,
        subject=scan.subject,
        paths=paths,
        label=None if is_missing(row[config.label]) else _value(row[config.label]),
        group=row[config.group] if config.group is not None else None,
        strata={column: _stratum(row[column], column in numeric) for column in config.strata},
        described={column: _described(cell) for column, cell in row.items() if column.lower() in DESCRIBING},
        numbers={column: _value(row[column]) for column in columns},
        split_cells=_split_cells(scan, config, lists),
        covariates={column: _stratum(row[column], column in numeric) for column in config.covariates},
        people={
            column: cell
            for column, cell in row.items()
            if column not in (config.id, config.session) and names_people(column) and not is_missing(cell)
        },
        image_names=config.image_names,
        trainable=fulfils(row, config.train.where),
    )


def _split_cells(scan: Listed, config: DataConfig, lists: SplitLists | None) -> dict[str, str]:
    cells = {column: scan.row[column] for _, column in config.split.columns}
    told = {column: "" if is_missing(cell) else cell for column, cell in cells.items()}
    return told if lists is None else {**told, FILES: lists.side(scan.id, scan.subject)}


def _value(cell: str) -> float:
    """The number that a cell is, or the bound that it gives."""
    value = number(cell)
    value = bound(cell) if value is None else value
    assert value is not None, cell
    return value


def _is_quantity(cell: str) -> bool:
    return is_missing(cell) or number(cell) is not None or bound(cell) is not None


def _stratum(cell: str, numeric: bool) -> str | float:
    if is_missing(cell):
        return ""
    return _value(cell) if numeric else cell


def _described(cell: str) -> str:
    return "n/a" if is_missing(cell) else cell


def _check_labels(listing: Listing, column: str) -> None:
    cells = [scan.row[column] for scan in listing.scans if scan.row]
    if cells and all(is_missing(cell) or not _is_quantity(cell) for cell in cells):
        raise UserError(
            f"data.label: column '{column}' of {listing.name} holds no numbers; "
            f"the first value is '{cells[0]}'{_hint(cells[0])}, numbers are needed"
        )
