"""The data roots: the folders that specs may name files in, where the settings have any.

A message never tells where a root lies, nor whether there is a file outside.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from contrasweep.services.spec.cohorts import naming_cohort
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.trainers.config import SplitByFiles
from contrasweep.trainers.data import transforms
from contrasweep.trainers.data.bids import bids_tables, participants_table
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.readers import files
from contrasweep.trainers.data.template import ImageTemplate, image_field
from contrasweep.trainers.errors import UserError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REGISTERED = re.compile(r"models:/[\w][\w .-]*[/@][\w.-]+")
_ALLOWED = "must be a path inside a data root, relative to it or absolute, without '..', '~', ':' and backslashes"


def place(spec: SweepSpec, roots: Sequence[Path]) -> LoadedSpec:
    """The spec with its base: the first root that has its table. Raises UserError where none has."""
    field, text = _table(spec)
    _check_text(field, text)
    for root in roots:
        if _is_inside(root / text, roots) and _has_table(root, spec, roots):
            return LoadedSpec(spec, Path("spec"), root)
    raise UserError(f"spec: {field}: '{text}' is not allowed: no data root has it")


def confine(loaded: LoadedSpec, roots: Sequence[Path]) -> None:
    """Raise UserError where a field of the spec names a file outside `roots`, links followed."""
    for field, text, path in _named_files(loaded):
        _check_text(field, text)
        if not _are_inside(path, roots):
            raise UserError(f"spec: {field}: '{text}' is not allowed: {_ALLOWED}")
    if loaded.spec.data.bids is not None:
        _confine_tables(loaded, roots)
    for name, cohort in loaded.cohorts.items():
        with naming_cohort(name):
            confine(cohort, roots)


def confine_subjects(subjects: Iterable[Subject], roots: Sequence[Path]) -> None:
    """Raise UserError where a scan that a table names, or a file that it refers to, lies outside `roots`."""
    for subject in subjects:
        for name, path in subject.images:
            if not _are_inside(path, roots):
                image = f"image {name}" if name else "image"
                raise UserError(f"spec: data.participants: the {image} of {subject.id!r} is not inside a data root")


def without_folders(text: str, folders: Iterable[Path]) -> str:
    """`text` with paths inside `folders` relative to them.

    >>> without_folders("no such file: /srv/data/a.tsv (in /srv/data)", [Path("/srv/data")])
    'no such file: a.tsv (in .)'
    """
    spellings = {str(spelt) for folder in folders for spelt in (folder, folder.resolve())} - {"/"}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = re.sub(rf"{re.escape(spelling)}(/+|(?![\w.-]))", lambda found: "" if found[1] else ".", text)
    return text


def _table(spec: SweepSpec) -> tuple[str, str]:
    return ("data.participants" if spec.data.bids is None else "data.bids"), spec.data.listed_in


def _named_files(loaded: LoadedSpec) -> Iterator[tuple[str, str, Path]]:
    """Field, text and path of every file or folder that the spec names."""
    data, base = loaded.spec.data, loaded.base
    table = base / data.listed_in
    yield *_table(loaded.spec), table
    if data.bids is not None and data.participants is not None:
        yield "data.participants", data.participants, base / data.participants
    for name, text in data.images.items():
        field = image_field(name)
        _check_text(field, text)
        yield field, text, ImageTemplate.parse(text, table.parent, field).folder
    for index, join in enumerate(data.join):
        yield f"data.join[{index}].table", join.table, base / join.table
    if isinstance(data.split, SplitByFiles):
        for side, text in data.split.files.named.items():
            yield f"data.split.files.{side}", text, base / text
    yield from _transform_files(loaded)
    start = loaded.spec.model.init_from
    if start is not None and not _REGISTERED.fullmatch(start):
        yield "model.init_from", start, base / start


def _transform_files(loaded: LoadedSpec) -> Iterator[tuple[str, str, Path]]:
    """The same of the arguments of our transforms that are files; none of MONAI's reads a file."""
    own = transforms.names()
    for where, spec in {"": loaded.spec, **loaded.spec.variants}.items():
        for index, step in enumerate(spec.data.transforms):
            for name, arguments in step.items():
                for key in getattr(transforms.get(name), "path_arguments", ()) if name in own else ():
                    if arguments.get(key) is not None:
                        text = str(arguments[key])
                        field = f"data.transforms[{index}].{name}.{key}"
                        yield f"{where}.{field}" if where else field, text, loaded.base / text


def _confine_tables(loaded: LoadedSpec, roots: Sequence[Path]) -> None:
    for table in bids_tables(loaded.spec.data, loaded.base):
        if not _is_inside(table, roots):
            raise UserError(f"spec: data.bids: {table.name!r} is not inside a data root")


def _check_text(field: str, text: str) -> None:
    """Raise UserError on text that some reader of paths would take for more than a path."""
    parts = re.split(r"[/\\]", text)
    strange = text.startswith(("~", "//")) or "\\" in text or ".." in parts or _URL.match(text)
    if strange or not text.isprintable() or not text:
        raise UserError(f"spec: {field}: {_shown(text)} is not allowed: {_ALLOWED}")


def _shown(text: str) -> str:
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"'{text}'" if text.isprintable() else ascii(text)


def _are_inside(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path`, and every file that an image there is read from, lies in a root."""
    return _is_inside(path, roots) and all(_is_inside(file, roots) for file in files(path))


def _is_inside(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path`, links followed, lies in a root; the path need not exist."""
    try:
        resolved = path.resolve()
        return any(resolved.is_relative_to(root.resolve()) for root in roots)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return False


def _has_table(root: Path, spec: SweepSpec, roots: Sequence[Path]) -> bool:
    """Whether the spec's table is where it says, if `root` is its base, and can be read."""
    data = spec.data
    table = root / data.listed_in if data.bids is None else participants_table(data, root)
    return table is not None and _is_inside(table, roots) and _is_file(table)


def _is_file(path: Path) -> bool:
    """Whether there is such a file that can be read."""
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except OSError:
        return False
