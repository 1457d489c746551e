"""Presets: whole published recipes, one YAML file each in `search_spaces/presets`, that a spec is laid over."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrasweep import search_spaces
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.errors import UserError, nearest

_FOLDER = Path(search_spaces.__file__).parent / "presets"
_MERGED = ("data", "model", "training", "read", "search", "search.fix", "search.override", "search.racing")
"""What is laid over each other key by key; of all else, components above all, there is the one or the other."""


def names() -> list[str]:
    """Sorted names of all presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """A preset as it is written. Raises UserError with the nearest name where there is none."""
    if name not in names():
        raise UserError(f"preset: unknown preset '{str(name)[:60]}'; {nearest(str(name), names())}")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def preset(name: str) -> dict[str, Any]:
    """A preset's fields of a spec. Raises UserError with the nearest name where there is none."""
    return load_mapping(text(name), f"{name}.yaml")


def over_preset(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document over the preset that it names, if it does, and without the name.

    Raises UserError where there is no such preset.
    """
    if "preset" not in document:
        return document
    own = {key: value for key, value in document.items() if key != "preset"}
    search = own.get("search")
    return laid_under(_fixing(preset(document["preset"]), search if isinstance(search, Mapping) else {}), own)


def _fixing(recipe: dict[str, Any], search: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that fixes only parameters of methods that are searched, and none that the search has a range for."""
    given, override = search.get("spaces"), search.get("override")
    methods = given if isinstance(given, list | tuple) else ()
    ranged = override if isinstance(override, Mapping) else ()
    own = recipe.get("search", {})
    fix = {k: v for k, v in own.get("fix", {}).items() if k.partition(".")[0] in methods and k not in ranged}
    return {**recipe, "search": {**own, "fix": fix}}


def laid_under(under: Mapping[str, Any], over: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """`over`, with those fields of `under` that it does not say; fields of a section count, what they hold does not.

    >>> laid_under({"model": {"encoder": "sfcn", "width": 0.5}}, {"model": {"width": 1.0}})
    {'model': {'encoder': 'sfcn', 'width': 1.0}}
    """
    found = {**under, **over}
    for key in under.keys() & over.keys():
        if f"{place}{key}" in _MERGED and isinstance(under[key], Mapping) and isinstance(over[key], Mapping):
            found[key] = laid_under(under[key], over[key], f"{place}{key}.")
    return found
