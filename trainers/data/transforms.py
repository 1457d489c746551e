"""MONAI transforms by name: what is done to each image once, before it is stored."""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import UserError, nearest

_WRAPPERS = frozenset({"CuCIM", "Lambda", "TorchIO", "TorchVision"})  # call code that we cannot vouch for

Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def build_transforms(transforms: Sequence[dict[str, dict[str, Any]]]) -> Transform:
    """One function from an image [C, *S] float32 to the image that is stored, [C', *S'] float32.

    Raises UserError on an unknown name or argument, and on a random transform: what is kept is made once,
    so randomness belongs into the augmentations.

    >>> import numpy as np
    >>> half = build_transforms([{"ScaleIntensityRange": {"a_min": 0, "a_max": 2, "b_min": 0, "b_max": 1}}])
    >>> half(np.ones((1, 2, 2), dtype=np.float32)).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    steps = [_build(index, entry) for index, entry in enumerate(transforms)]

    def apply(image: NDArray[np.float32]) -> NDArray[np.float32]:
        result: Any = image
        for step in steps:
            result = step(result)
        return np.ascontiguousarray(np.asarray(result), dtype=np.float32)

    return apply


def _build(index: int, entry: dict[str, dict[str, Any]]) -> Callable[[Any], Any]:
    where = f"data.transforms[{index}]"
    if len(entry) != 1:
        raise UserError(f"{where}: {len(entry)} names {sorted(entry)}; one transform for each list entry is allowed")
    ((name, arguments),) = entry.items()
    allowed = _allowed()
    if name not in allowed:
        if name.startswith("Rand"):
            raise UserError(f"{where}: '{name}' is random and would be drawn once; use training.augmentations")
        raise UserError(f"{where}: unknown MONAI transform '{name}'; {_closest(name, allowed)}")
    accepted = inspect.signature(allowed[name]).parameters
    for key in arguments:
        if key not in accepted:
            raise UserError(f"{where}: {name} has no argument '{key}'; {nearest(key, accepted)}")
    try:
        transform: Callable[[Any], Any] = allowed[name](**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {name} refuses {arguments}: {' '.join(str(error).split())}") from error
    return transform


def _closest(name: str, allowed: dict[str, Any]) -> str:
    """The hint without the list of more than a hundred names."""
    hint = nearest(name, allowed).split("allowed:")[0]
    return f"{hint}allowed: the array transforms of monai.transforms that are not random"


@cache
def _allowed() -> dict[str, Any]:
    """MONAI's deterministic array transforms by name, those that touch files left out."""
    import monai.transforms as catalogue  # seconds to import, and a spec without transforms does not need it
    from monai.transforms.transform import Randomizable
    from monai.transforms.transform import Transform as MonaiTransform

    return {
        name: item
        for name, item in vars(catalogue).items()
        if inspect.isclass(item)
        and issubclass(item, MonaiTransform)
        and not issubclass(item, Randomizable)
        and not name.startswith("Rand")
        and name not in _WRAPPERS
        and item.__module__.endswith(".array")
        and not item.__module__.startswith("monai.transforms.io")
    }
