"""The folders that specs may name files in."""

import os
from pathlib import Path

from contrasweep.services.doctor.finding import Found, fail, ok
from contrasweep.services.settings import Settings


def roots(settings: Settings) -> Found | None:
    """Whether each is there and can be read."""
    if not settings.data_roots:
        return None
    wrong = [f"{root}: {fault}" for root in settings.data_roots if (fault := _fault(root))]
    if wrong:
        return fail("; ".join(wrong), "mount the folder, or set CONTRASWEEP_DATA_ROOTS to folders that are there")
    return ok(", ".join(map(str, settings.data_roots)))


def _fault(root: Path) -> str:
    try:
        with os.scandir(root) as entries:
            return "" if any(entries) else "is empty"
    except OSError as error:
        return error.strerror or str(error)
