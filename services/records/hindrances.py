"""Errors of storage that has a sweep wait, and says nothing of its configurations: full, read-only, out of order."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contrasweep.services.text import without_secrets
from contrasweep.trainers.errors import UserError

_ADVICE: Final = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room in your quota there",
    errno.EROFS: "have it mounted for writing again",
    errno.EIO: "see to the disk or its server",
    errno.ESTALE: "have it mounted again",
}


def hindrance(error: BaseException, where: Path | None = None) -> str:
    """What storage has the sweep wait, where, and what to do, in one line; empty where `error` is another.

    `where` is told where the error does not name a file. What an error was raised from or while handling counts, as
    libraries have errors of their own for a file that they cannot write.
    """
    for one in () if isinstance(error, UserError) else _chain(error):
        if isinstance(one, OSError) and one.errno in _ADVICE:
            path = one.filename or where or "the home"
            return f"{path}: {os.strerror(one.errno)}; {_ADVICE[one.errno]}, and `contrasweep resume` goes on"
        if type(one).__name__ == "OperationalError" and getattr(one, "orig", None):
            said = " ".join(without_secrets(str(one.orig)).split())  # type: ignore[attr-defined]
            return f"Optuna's database: {said}; see to it, and `contrasweep resume` goes on"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it; Ray keeps what a worker raised as `cause`."""
    rest: list[BaseException | None] = [error]
    seen: set[int] = set()
    while rest:
        one = rest.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        rest += [getattr(one, "cause", None), one.__cause__, one.__context__]
