"""Files that a user asks for by name, and small ones that are ours."""

import json
from pathlib import Path
from typing import Any

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.errors import UserError


def write_asked(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all. Raises UserError where that cannot be."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def read_json(path: Path, *keys: str) -> dict[str, Any] | None:
    """The JSON mapping in a file of ours; None where there is none, or it is damaged, or lacks one of `keys`."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) and {*keys} <= content.keys() else None
