"""`contrasweep explain`: what can be named in a spec, and with which parameters."""

import inspect
from collections.abc import Callable

from rich.console import Console

import search_spaces
from services import recipes
from trainers import augmentations, encoders, losses, probes
from trainers.config import FINETUNE, FinetuneConfig
from trainers.data import transforms
from trainers.errors import UserError, nearest

_DECIDED = ("image_shape", "width", "depth")
"""What the data or other fields of the spec say of an encoder or augmentation."""
_MONAI = "and MONAI's array transforms that are not random"


def explain(name: str | None, console: Console) -> None:
    """Print all names, or what `name` is and takes. Raises UserError where there is no such name."""
    kinds = _kinds()
    if name is None:
        for field, components in kinds.items():
            more = f", {_MONAI}" if field == "data.transforms" else ""
            console.print(f"{field:24} {', '.join(sorted(components))}{more}", soft_wrap=True, markup=False)
        console.print(f"{'init --recipe':24} {', '.join(recipes.names())}", soft_wrap=True, markup=False)
        return
    if name in recipes.names():
        console.print(recipes.text(name), soft_wrap=True, markup=False, end="")
        return
    found = {field: components[name] for field, components in kinds.items() if name in components} or _monai(name)
    if not found:
        known = {one for names in kinds.values() for one in names} | set(recipes.names())
        raise UserError(f"unknown name '{name}'; {nearest(name, known)}")
    for field, component in found.items():
        console.print(f"{field}: {name}\n", markup=False)
        console.print(inspect.getdoc(component) or "", soft_wrap=True, markup=False)
        for key, default in _parameters(field, name, component).items():
            told = "  (no default)" if default is inspect.Parameter.empty else f" = {default}"
            console.print(f"  {key}{told}", soft_wrap=True, markup=False)


def _kinds() -> dict[str, dict[str, Callable[..., object]]]:
    """Components by name, by the field of the spec that names them."""
    return {
        "search.spaces": {name: losses.get(name) for name in search_spaces.names()},
        "model.encoder": {name: encoders.get(name) for name in encoders.names()},
        "training.augmentations": {name: augmentations.get(name) for name in augmentations.names()},
        "data.transforms": {name: transforms.get(name) for name in transforms.names()},
        "probe": {name: probes.get(name) for name in probes.names()} | {FINETUNE: FinetuneConfig},
    }


def _monai(name: str) -> dict[str, Callable[..., object]]:
    """One of MONAI's transforms, whose import takes seconds, so only where nothing else has the name."""
    from trainers.data.transforms._monai import allowed

    return {"data.transforms (MONAI)": allowed()[name]} if name in allowed() else {}


def _parameters(field: str, name: str, component: Callable[..., object]) -> dict[str, object]:
    """What a spec may set, at its published value or default."""
    if field == "search.spaces":
        return dict(search_spaces.parameters(name))
    parameters = inspect.signature(component).parameters
    own = {key: parameter.default for key, parameter in parameters.items() if key not in _DECIDED}
    return own | ({"in_plane": False} if field == "training.augmentations" else {})
