"""Checkpoints: tensors and plain values, written whole or not at all, read without unpickling code.

They are zip files, whose entries have checksums.
"""

import zipfile
from pathlib import Path
from typing import Any, Final, cast

import torch

from contrasweep.trainers.atomic import replacing
from contrasweep.trainers.errors import Damaged

LATEST: Final = "latest.pt"
PREVIOUS: Final = "previous.pt"
"""The one before the latest, which training goes on from where that is damaged."""


def save(path: Path, state: dict[str, Any], former: Path | None = None) -> None:
    """Write `state` in one step; what was at `path` is kept as `former`, where that is given."""
    with replacing(path, former) as file:
        torch.save(state, file)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint: a file that holds code is refused. Raises Damaged where it is not what was written."""
    check(path)
    try:
        return read(path, device)
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error):
            raise
        raise Damaged(path, "its directory is not what was written") from error


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The same of a file that may be of another program, whatever it is."""
    return cast(dict[str, Any], torch.load(path, map_location=device, weights_only=True))


def check(path: Path) -> None:
    """Raise Damaged where a checkpoint is not what was written; torch itself compares no checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except OSError as error:
        if error.filename:
            raise
        raise Damaged(path, "it is cut off") from error  # a place that lies before its beginning
    except Exception as error:  # zipfile passes on whatever it stumbles over
        raise Damaged(path, "it is empty or cut off, or no checkpoint") from error
    if damaged:
        raise Damaged(path, "its checksum is not that of its content")


def last(folder: Path) -> Path | None:
    """The checkpoint that the run of a folder goes on from, if there is one."""
    return next((path for name in (LATEST, PREVIOUS) if (path := folder / name).exists()), None)
