"""Paths with `*`, `?` and `[...]`, looked up in folders that are listed once each."""

import fnmatch
import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WILD = re.compile(r"\[[^]]*\]|[*?]")
_SINGLE = re.compile(r"\[([^]])\]")


@dataclass(frozen=True)
class Level:
    """A name in a path: as it is written, and as a pattern, in which what came from a table stands for itself."""

    written: str
    pattern: str

    @property
    def is_wild(self) -> bool:
        """Whether it may stand for other names than its own."""
        return self.pattern != glob.escape(self.written)


@dataclass(frozen=True)
class _Names:
    """A folder's names as they are on disk by their composed form (NFC), and all of these in one text.

    `found` counts the names that held a stretch of a pattern when it was looked for.
    """

    on_disk: dict[str, str]
    text: str
    found: Counter[str] = field(default_factory=Counter)

    def fitting(self, pattern: str) -> list[str]:
        """The names that fit.

        The text is searched for a stretch of the pattern that is no wildcard, which takes a hundredth of trying the
        pattern on each name; of several stretches, for one that is not known to be in many names.
        """
        pattern = unicodedata.normalize("NFC", pattern)
        fits = re.compile(fnmatch.translate(pattern)).match
        stretch = min(_stretches(pattern), key=lambda one: (not one, self.found[one], -len(one)))
        holding = list(self._holding(stretch))
        self.found[stretch] = len(holding)
        return [name for name in holding if fits(name) and name.startswith(".") <= pattern.startswith(".")]

    def _holding(self, stretch: str) -> Iterator[str]:
        end = 0
        while (place := self.text.find(stretch, end)) >= 0:
            start, end = self.text.rfind("\n", 0, place + 1) + 1, self.text.find("\n", place + 1)
            if end < 0:
                return
            yield self.text[start:end]


@dataclass(frozen=True)
class Folders:
    """What lies in folders, each read when it is first asked for, so that a lookup costs what its own folders hold."""

    _known: dict[Path, _Names] = field(default_factory=dict)

    def matches(self, folder: Path, levels: Sequence[Level]) -> list[Path]:
        """The paths below `folder` that fit, sorted; a name that is there as it is written stands for itself alone.

        Names that begin with a dot fit where the pattern begins with one.
        """
        paths = [folder]
        for level in levels:
            paths = [path for above in paths for path in self._below(above, level)]
        return sorted(paths)

    def _below(self, folder: Path, level: Level) -> Iterator[Path]:
        if not level.is_wild:
            yield as_on_disk(folder, level.written)
            return
        names, written = self._names(folder), unicodedata.normalize("NFC", level.written)
        fitting = [written] if written in names.on_disk else names.fitting(level.pattern)
        yield from (folder / names.on_disk[name] for name in fitting)

    def _names(self, folder: Path) -> _Names:
        if folder not in self._known:
            try:
                on_disk = {unicodedata.normalize("NFC", name): name for name in os.listdir(folder)}
            except OSError:  # gone, no folder, or closed to us: nothing fits
                on_disk = {}
            self._known[folder] = _Names(on_disk, "\n".join(["", *on_disk, ""]))
        return self._known[folder]


def as_on_disk(folder: Path, relative: str) -> Path:
    """A name with accents may have been written composed (Linux, Windows) or decomposed (macOS)."""
    if relative.isascii():
        return folder / relative
    forms = (relative, *(unicodedata.normalize(form, relative) for form in ("NFC", "NFD")))
    return next((folder / form for form in forms if os.path.lexists(folder / form)), folder / relative)


def _stretches(pattern: str) -> list[str]:
    """What a pattern spells out between its wildcards; `[x]` spells x.

    >>> _stretches("sub-[*]1_*_T1w.nii")
    ['sub-*1_', '_T1w.nii']
    """
    plain = _SINGLE.sub(lambda single: f"\0{ord(single[1])}\0", pattern)
    parts = WILD.split(plain)
    return [re.sub(r"\0(\d+)\0", lambda code: chr(int(code[1])), part) for part in parts]
