"""`contrasweep explain`: what can be named in a spec, and with which parameters."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from contrasweep.services import recipes
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.spec import presets
from contrasweep.trainers.config import FINETUNE, FinetuneConfig
from contrasweep.trainers.costs import COSTS
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.parameters import rule, rules_of
from contrasweep.trainers.registry import declared

_PACKAGES = {
    "search.spaces": ("contrasweep.trainers.losses", "register"),
    "model.encoder": ("contrasweep.trainers.encoders", "register"),
    "training.augmentations": ("contrasweep.trainers.augmentations", "register"),
    "data.transforms": ("contrasweep.trainers.data.transforms", "register"),
    "probe": ("contrasweep.trainers.probes", "PROBES.register"),
    "analyse": ("contrasweep.trainers.analyses", "ANALYSES.register"),
}
"""By the field of the spec, or command, that names a component: its package, and what makes it known there."""
_DECIDED = ("image_shape", "width", "depth")
"""What the data or other fields of the spec say of an encoder or augmentation."""
_MONAI = "and MONAI's array transforms that are not random"


def explain(name: str | None, console: Console) -> None:
    """Print all names, or what `name` is and takes. Raises UserError where there is no such name."""
    kinds = {field: sorted(declared(*package)) for field, package in _PACKAGES.items()}
    kinds["probe"] = sorted([*kinds["probe"], FINETUNE])
    if name is None:
        _list(kinds, console)
    elif name in recipes.names():
        console.print(recipes.text(name), soft_wrap=True, markup=False, end="")
    else:
        with waiting(console, f"looking {name} up"):
            found = {field: _component(field, name) for field, names in kinds.items() if name in names}
            found = found or ({} if name in presets.names() else _monai(name))
        if not found and name not in presets.names():
            known = {*(one for names in kinds.values() for one in names), *recipes.names(), *presets.names()}
            raise UserError(f"unknown name '{name}'; {nearest(name, known)}")
        for field, component in found.items():
            _tell(field, name, component, console)
        if name in presets.names():
            console.print(f"preset: {name}\n\n{presets.text(name)}", soft_wrap=True, markup=False, end="")


def _list(kinds: Mapping[str, list[str]], console: Console) -> None:
    for field, names in kinds.items():
        more = f", {_MONAI}" if field == "data.transforms" else ""
        console.print(f"{field:24} {', '.join(names)}{more}", soft_wrap=True, markup=False)
    console.print(f"{'search.objective':24} {', '.join(OBJECTIVES)}", soft_wrap=True, markup=False)
    console.print(f"{'search.constraints':24} {', '.join(COSTS)}", soft_wrap=True, markup=False)
    console.print(f"{'preset':24} {', '.join(presets.names())}", soft_wrap=True, markup=False)
    console.print(f"{'init --recipe':24} {', '.join(recipes.names())}", soft_wrap=True, markup=False)


def _component(field: str, name: str) -> Callable[..., object]:
    if (field, name) == ("probe", FINETUNE):
        return FinetuneConfig
    package, decorator = _PACKAGES[field]
    importlib.import_module(declared(package, decorator)[name])  # and not all the others
    found: Callable[..., object] = importlib.import_module(package).get(name)
    return found


def _monai(name: str) -> dict[str, Callable[..., object]]:
    """One of MONAI's transforms, whose import takes seconds, so only where nothing else has the name."""
    from contrasweep.trainers.data.transforms._monai import allowed

    return {"data.transforms (MONAI)": allowed()[name]} if name in allowed() else {}


def _tell(field: str, name: str, component: Callable[..., object], console: Console) -> None:
    console.print(f"{field}: {name}\n", markup=False)
    console.print(inspect.getdoc(component) or "", soft_wrap=True, markup=False)
    rules, ranges = _rules(field, component), _ranges(name) if field == "search.spaces" else {}
    for key, default in _parameters(field, name, component).items():
        told = "  (no default)" if default is inspect.Parameter.empty else f" = {default}"
        allowed = f"  ({rule(rules[key])})" if key in rules else ""
        searched = f"  searched: {ranges[key]}" if key in ranges else ""
        shown = f"{name}.{key}" if field == "search.spaces" else key
        console.print(f"  {shown}{told}{allowed}{searched}", soft_wrap=True, markup=False)


def _parameters(field: str, name: str, component: Callable[..., object]) -> dict[str, object]:
    """What a spec may set, at its published value or default."""
    if field == "search.spaces":
        from contrasweep.trainers import losses

        return losses.parameters(name)
    parameters = inspect.signature(component).parameters
    own = {key: parameter.default for key, parameter in parameters.items() if key not in _DECIDED}
    return own | ({"in_plane": False} if field == "training.augmentations" else {})


def _rules(field: str, component: Callable[..., object]) -> dict[str, Any]:
    """The rules of our own components; of MONAI's nothing is known."""
    return rules_of(component) if field in _PACKAGES and component is not FinetuneConfig else {}


def _ranges(method: str) -> dict[str, str]:
    """From where each parameter of a method is drawn at the spec's defaults, before the labels are known."""
    from contrasweep import search_spaces
    from contrasweep.trainers import losses
    from contrasweep.trainers.config import TrainingConfig

    training = TrainingConfig()
    context = search_spaces.Context(training.batch_size, training.epochs, views=training.views)
    found = search_spaces.ranges(method, losses.parameters(method), context)
    return {key.removeprefix(f"{method}."): words for key, words in found.items()}
