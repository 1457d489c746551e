"""Files that a user asks for by name."""

from pathlib import Path

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.errors import UserError


def write_asked(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all. Raises UserError where that cannot be."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
