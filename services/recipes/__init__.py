"""Recipes: the parts of a spec that a modality decides, as published, one YAML file each.

Under `sample`, its last part, a recipe says what data the tests try it on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contrasweep.trainers.errors import UserError, nearest

_FOLDER = Path(__file__).parent
_BLANK = re.compile(r"<(\w+)>")


def names() -> list[str]:
    """Sorted names of all recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """A recipe as it is written, without its sample. Raises UserError with the nearest name where there is none."""
    return _parts(name)[0]


def sample(name: str) -> str:
    """The line of YAML that says what data suit a recipe.

    They are noise of `shape`, or where `brain`, blobs in a ball, in files of `ending`; `set` fills blanks; `gives` is
    the shape (C, *S) that they are prepared to. A file `atlas.nii.gz` of two regions is there.
    """
    return _parts(name)[1]


def _parts(name: str) -> tuple[str, str]:
    if name not in names():
        raise UserError(f"unknown recipe '{name}'; {nearest(name, names())}")
    written, mark, sample = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").partition("sample:")
    return written, mark + sample


@dataclass(frozen=True)
class Recipe:
    """Plain text of a spec's parts: comments `about` it, the lines under `data` and `training`, the line of `model`."""

    about: str
    data: str
    model: str
    training: str

    @classmethod
    def parse(cls, written: str) -> "Recipe":
        """The recipe that is `written` as YAML with the keys data, model and training, in any order."""
        about, *blocks = re.split(r"^(?=\w)", written, flags=re.MULTILINE)
        parts = {block.split(":", 1)[0]: block for block in blocks}
        data, training = (parts[key].split("\n", 1)[1].rstrip() for key in ("data", "training"))
        return cls(about, data, parts["model"].rstrip(), training)


def fill(name: str, values: Mapping[str, str]) -> str:
    """The recipe with its blanks, written `<template>`, filled in; a line in comments with one is used once it is.

    Raises UserError where a line that is no comment keeps a blank, or `values` names a blank that is not there.
    """
    written = text(name)
    blanks = _BLANK.findall(written)
    for key in values:
        if key not in blanks:
            raise UserError(f"--set: recipe '{name}' has no blank '{key}'; {nearest(key, blanks)}")
    lines = [_filled(line, values) for line in written.splitlines()]
    missing = [key for line in lines if not line.lstrip().startswith("#") for key in _BLANK.findall(line)]
    if missing:
        wanted = " ".join(f"--set {key}=VALUE" for key in missing)
        raise UserError(f"--set: recipe '{name}' needs {wanted}; `contrasweep explain {name}` shows where")
    return "\n".join(lines) + "\n"


def _filled(line: str, values: Mapping[str, str]) -> str:
    blanks = _BLANK.findall(line)
    if not blanks or not set(blanks) <= set(values):
        return line
    return _BLANK.sub(lambda blank: values[blank[1]], line.replace("# ", "", 1))
