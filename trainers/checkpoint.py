"""Checkpoints: tensors and plain values, written whole or not at all, read without unpickling code."""

from pathlib import Path
from typing import Any, cast

import torch

from contrasweep.trainers.atomic import replacing


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` in one step."""
    with replacing(path) as file:
        torch.save(state, file)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint with `weights_only`: a file that holds code is refused."""
    return cast(dict[str, Any], torch.load(path, map_location=device, weights_only=True))
