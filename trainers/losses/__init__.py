"""Training objectives, one file each, built by name: `build("supremix", window=5.0)`."""

import inspect
import sys
from collections.abc import Mapping
from typing import Any, cast

from contrasweep.trainers.losses.base import LOSSES, Loss, Rows, Samples

names = LOSSES.names
build = LOSSES.build

__all__ = ["DECIDED", "Loss", "Rows", "Samples", "build", "build_decided", "get", "names", "parameters"]

DECIDED = ("encoder_width", "label_range", "max_epochs", "train_labels", "width")
"""Parameters that the data and the training decide, and not a user."""


def get(name: str) -> type[Loss]:
    """The class of the loss `name`. Raises UserError with the nearest name where there is none."""
    return cast(type[Loss], LOSSES.get(name))


def parameters(name: str) -> dict[str, Any]:
    """What a user may set of the loss `name`, at its published values."""
    accepted = inspect.signature(get(name)).parameters
    return {key: parameter.default for key, parameter in accepted.items() if key not in DECIDED}


def build_decided(name: str, params: Mapping[str, object], **decided: object) -> Loss:
    """Build `name` with a user's `params`, and what training and data have `decided`, as far as it asks for that.

    Of 0 epochs, where nothing is trained, no schedule is asked, and none is too long.
    """
    if decided.get("max_epochs") == 0:
        decided["max_epochs"] = sys.maxsize
    accepted = inspect.signature(get(name)).parameters
    return build(name, **{key: value for key, value in decided.items() if key in accepted} | dict(params))
