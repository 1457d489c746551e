"""Presets: whole published recipes, one YAML file each in `search_spaces/presets`, that a spec is laid over."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrasweep import search_spaces
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.errors import UserError, nearest

FOLDER = Path(search_spaces.__file__).parent / "presets"
_MERGED = ("data", "model", "training", "read", "search", "search.fix", "search.override")


def names() -> list[str]:
    """Sorted names of all presets."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def preset(name: str) -> dict[str, Any]:
    """A preset's fields of a spec. Raises UserError with the nearest name where there is none."""
    if name not in names():
        raise UserError(f"preset: unknown '{name}'; {nearest(name, names())}")
    path = FOLDER / f"{name}.yaml"
    return load_mapping(path.read_bytes(), path.name)


def laid_under(under: Mapping[str, Any], over: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """`over`, with those fields of `under` that it does not say; fields of a section count, what they hold does not.

    >>> laid_under({"model": {"encoder": "sfcn", "width": 0.5}}, {"model": {"width": 1.0}})
    {'model': {'encoder': 'sfcn', 'width': 1.0}}
    """
    found = {**under, **over}
    for key in under.keys() & over.keys():
        if f"{place}{key}" in _MERGED and isinstance(over[key], Mapping):
            found[key] = laid_under(under[key], over[key], f"{place}{key}.")
    return found
