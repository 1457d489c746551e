"""The image template: a path with columns of the participants table in it."""

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.readers.base import UnreadableError
from contrasweep.trainers.data.table import is_missing, number
from contrasweep.trainers.data.wildcards import WILD, Folders, Level, as_on_disk
from contrasweep.trainers.errors import UserError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_WIDTH = re.compile(r"(.+):0?([1-9]\d?)d?", re.DOTALL)
_SHOWN = 3


@dataclass(frozen=True)
class Column:
    """A column whose cells are put in as they are or, `{name:03d}`, as whole numbers of so many digits."""

    name: str
    digits: int | None = None

    def fill(self, row: Mapping[str, str]) -> str:
        """The text of a row. Raises UnreadableError where it is missing, or no whole number where one is needed."""
        cell = row[self.name]
        if is_missing(cell):
            raise UnreadableError(f"missing value: column '{self.name}' is '{cell}'")
        if self.digits is None:
            return cell
        value = number(cell)
        if value is None or value < 0 or not value.is_integer():
            raise UnreadableError(f"is no whole number, which data.image needs: column '{self.name}' is '{cell}'")
        return f"{int(value):0{self.digits}d}"


@dataclass(frozen=True)
class ImageTemplate:
    """Paths under `base` / `beginning`; `parts` are pairs of literal text and the column, if any, that follows it."""

    base: Path
    beginning: str
    parts: tuple[tuple[str, Column | None], ...]
    _folders: Folders = field(default_factory=Folders, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, base: Path, field: str = "data.image") -> "ImageTemplate":
        """A template relative to `base`. Raises UserError, naming the `field`, where it is none, or names no column.

        >>> ImageTemplate.parse("maps/a{id}*.png", Path("data")).parts
        (('a', Column(name='id', digits=None)), ('*.png', None))
        """
        parts = _parts(text, field)
        if parts[0][1] is None:
            raise UserError(f"{field}: '{text}' names no column; write at least one as {{name}}")
        if "**" in text:
            raise UserError(f"{field}: '**' in '{text}' is not allowed; write * for each folder")
        spelled = parts[0][0]
        wild = WILD.search(spelled)
        beginning, slash, _ = spelled[: wild.start() if wild else None].rpartition("/")
        return cls(base, beginning + slash, ((spelled[len(beginning + slash) :], parts[0][1]), *parts[1:]))

    @property
    def folder(self) -> Path:
        """The folder that the template spells out; no row leaves it."""
        return self.base / self.beginning

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose cells the paths are made of."""
        return tuple(column.name for _, column in self.parts if column is not None)

    def fill(self, row: Mapping[str, str]) -> Path:
        """The path of a row's image, in the Unicode form that the disk has it in.

        Raises UnreadableError where a cell is missing, the cells lead out of `folder`, or, with `*`, `?` or `[...]` in
        the template, where not exactly one file fits.
        """
        cells = [column.fill(row) if column is not None else "" for _, column in self.parts]
        texts = [text for text, _ in self.parts]
        relative = self._inside("".join(text + cell for text, cell in zip(texts, cells, strict=True)))
        if not any(WILD.search(text) for text in texts):
            return as_on_disk(self.folder, relative)
        pattern = "".join(text + glob.escape(cell) for text, cell in zip(texts, cells, strict=True))
        return self._only(relative, os.path.normpath(pattern.lstrip("/") if self.beginning else pattern))

    def existing(self) -> list[Path]:
        """All files that the template fits, whatever the table says: one folder level for each in the template."""
        for written in (glob.escape, str):  # first as if the template had no wildcards
            pattern = "".join(written(text) + ("*" if column else "") for text, column in self.parts)
            if found := glob.glob(pattern, root_dir=self.folder):
                return [self.folder / one for one in sorted(found)]
        return []

    def _only(self, relative: str, pattern: str) -> Path:
        levels = [Level(*names) for names in zip(relative.split("/"), pattern.split("/"), strict=True)]
        found = [path for path in self._folders.matches(self.folder, levels) if os.path.lexists(path)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UnreadableError(f"no file fits '{self.beginning}{relative}'")
        names = ", ".join(path.relative_to(self.folder).as_posix() for path in found[:_SHOWN])
        more = " ..." if len(found) > _SHOWN else ""
        raise UnreadableError(f"{len(found)} files fit '{self.beginning}{relative}': {names}{more}; one is needed")

    def _inside(self, filled: str) -> str:
        """`filled` without detours, as names alone: links are not followed."""
        relative = os.path.normpath(filled.lstrip("/") if self.beginning else filled)
        problem = f"'{filled}' climbs out of {self.beginning or 'the folder of the table'}"  # wherever that is today
        if os.path.isabs(relative):
            raise UnreadableError(f"{problem}; for absolute paths begin data.image with '/'")
        if relative == ".." or relative.startswith("../"):
            raise UnreadableError(problem)
        return relative


def image_templates(config: DataConfig, base: Path) -> dict[str, ImageTemplate]:
    """The templates of `data.image` by the images' names, relative to `base`. Raises UserError as `parse` does."""
    return {name: ImageTemplate.parse(text, base, image_field(name)) for name, text in config.images.items()}


def image_field(name: str) -> str:
    """The spec's field of an image.

    >>> image_field(""), image_field("t2")
    ('data.image', 'data.image.t2')
    """
    return f"data.image.{name}" if name else "data.image"


def _parts(text: str, field: str) -> list[tuple[str, Column | None]]:
    """Literal text and the column that follows it, in turn; doubled braces are braces."""
    parts: list[tuple[str, Column | None]] = []
    literal, end = "", 0
    for token in _TOKEN.finditer(text):
        literal, end = literal + text[end : token.start()], token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
        elif not token[1]:
            raise UserError(f"{field}: '{text}' is no template: '{token[0]}'; write columns as {{name}}")
        else:
            width = _WIDTH.fullmatch(token[1])
            parts.append((literal, Column(width[1], int(width[2])) if width else Column(token[1])))
            literal = ""
    return [*parts, (literal + text[end:], None)]
