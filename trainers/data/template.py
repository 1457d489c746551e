"""The image template: a path with columns of the participants table in it."""

import glob
import os
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainers.data.readers.base import UnreadableError
from trainers.data.table import is_missing
from trainers.errors import UserError


@dataclass(frozen=True)
class ImageTemplate:
    """Paths under `base` / `beginning`; `parts` are pairs of literal text and the column, if any, that follows it."""

    base: Path
    beginning: str
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str, base: Path) -> "ImageTemplate":
        """A template relative to `base`. Raises UserError where it is none, or names no column.

        >>> ImageTemplate.parse("maps/a{id}.png", Path("data"))
        ImageTemplate(base=PosixPath('data'), beginning='maps/', parts=(('a', 'id'), ('.png', None)))
        """
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise UserError(f"data.image: '{text}' is no template: {error}; write columns as {{name}}") from error
        if any(spec or conversion or field == "" for _, field, spec, conversion in parsed):
            raise UserError(f"data.image: '{text}' holds more than plain column names; write columns as {{name}}")
        if all(field is None for _, field, _, _ in parsed):
            raise UserError(f"data.image: '{text}' names no column; write at least one as {{name}}")
        beginning, slash, rest = parsed[0][0].rpartition("/")
        parts = ((rest, parsed[0][1]), *((literal, field) for literal, field, _, _ in parsed[1:]))
        return cls(base, beginning + slash, parts)

    @property
    def folder(self) -> Path:
        """The folder that the template spells out; no row leaves it."""
        return self.base / self.beginning

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose cells the paths are made of."""
        return tuple(field for _, field in self.parts if field is not None)

    def fill(self, row: Mapping[str, str]) -> Path:
        """The path of a row's image, in the Unicode form that the disk has it in.

        Raises UnreadableError where a cell is missing, or the cells lead out of `folder`.
        """
        for column in self.columns:
            if is_missing(row[column]):
                raise UnreadableError(f"missing value: column '{column}' is '{row[column]}'")
        filled = "".join(text + (row[field] if field is not None else "") for text, field in self.parts)
        return _as_on_disk(self.folder, self._inside(filled))

    def existing(self) -> list[Path]:
        """All files that the template fits, whatever the table says: one folder level for each in the template."""
        pattern = "".join(glob.escape(text) + ("*" if field is not None else "") for text, field in self.parts)
        return [self.folder / found for found in sorted(glob.glob(pattern, root_dir=self.folder))]

    def _inside(self, filled: str) -> str:
        """`filled` without detours, as names alone: links are not followed."""
        relative = os.path.normpath(filled.lstrip("/") if self.beginning else filled)
        problem = f"'{filled}' climbs out of {self.beginning or 'the folder of the table'}"  # wherever that is today
        if os.path.isabs(relative):
            raise UnreadableError(f"{problem}; for absolute paths begin data.image with '/'")
        if relative == ".." or relative.startswith("../"):
            raise UnreadableError(problem)
        return relative


def _as_on_disk(folder: Path, relative: str) -> Path:
    """A name with accents may have been written composed (Linux, Windows) or decomposed (macOS)."""
    forms = (
        [relative] if relative.isascii() else [relative, *(unicodedata.normalize(f, relative) for f in ("NFC", "NFD"))]
    )
    return next((folder / form for form in forms if os.path.lexists(folder / form)), folder / relative)
