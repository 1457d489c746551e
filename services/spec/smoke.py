"""A study in small: whether data, model and report go together, in a minute and under an id of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contrasweep.services.spec.spec import LoadedSpec, spec_of
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.config import FINETUNE

SUFFIX = "-smoke"
SUBJECTS, METHODS, EPOCHS, ROWS = 48, 2, 2, 8
"""How many there are of each; rows are those of a worker's batch."""
_LONGEST = 40
_KEPT = ("fix", "objective", "override")
"""Fields of the search that say what a method is told, and by what it is judged."""


def smoke(loaded: LoadedSpec) -> LoadedSpec:
    """The study of 48 of its subjects, cut by the default split, with two of its methods, a seed and two epochs each.

    Preparation, model and whatever the figure is stay as they are. Raises UserError where that is no spec.
    """
    document = load_mapping(loaded.spec.to_yaml(), str(loaded.path))
    search, methods = document["search"], list(loaded.spec.search.spaces[:METHODS])
    left = {key: value for key, value in search.items() if key in _KEPT}
    for field in ("fix", "override"):
        left[field] = {key: value for key, value in left.get(field, {}).items() if _is_about(key, methods)}
    data = {key: value for key, value in document["data"].items() if key not in ("external", "split", "train")}
    training = {
        key: value for key, value in document.get("training", {}).items() if key not in ("schedule", "warmup_epochs")
    }
    rows = min(loaded.spec.training.batch_size, ROWS * loaded.spec.training.workers)
    small = {key: value for key, value in document.items() if key != "budget"} | {
        "name": document["name"][: _LONGEST - len(SUFFIX)].rstrip("-") + SUFFIX,
        "data": data | {"sample": SUBJECTS},
        "training": training | {"epochs": EPOCHS, "batch_size": rows},
        "probe": _briefly(document["probe"]),
        "read": _early(document["read"], 1 if FINETUNE in document["probe"] else EPOCHS),
        "search": left | {"spaces": methods, "trials": len(methods), "seeds": search["seeds"][:1], "racing": None},
    }
    return replace(loaded, spec=spec_of({k: v for k, v in small.items() if v != {}}, str(loaded.path)), known_as="")


def _is_about(key: str, methods: list[str]) -> bool:
    """Whether a parameter is of one of the methods, or of how all are trained, but for its length and batches."""
    of, _, name = key.partition(".")
    return of in methods or (of == "training" and name not in ("epochs", "batch_size"))


def _early(read: Mapping[str, Any] | None, epochs: int) -> dict[str, Any] | None:
    """What is read of epochs that there are."""
    return {**read, "epochs": [epoch for epoch in read["epochs"] if epoch <= epochs]} if read else None


def _briefly(probe: str | Mapping[str, Any]) -> str | dict[str, Any]:
    if isinstance(probe, str) or FINETUNE not in probe:
        return probe if isinstance(probe, str) else dict(probe)
    return {FINETUNE: {**probe[FINETUNE], "epochs": 1}}
