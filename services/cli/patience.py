"""Watching goes on when what is asked is away for a moment."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rich.console import Console

from contrasweep.services.verbs.protocol import Away

PATIENCE_S, AGAIN_S = 180.0, 3.0
"""How long nobody may answer before that is the end, and the time between two tries."""

_Answer = TypeVar("_Answer")


def patiently(ask: Callable[[], _Answer]) -> _Answer:
    """What `ask` answers; where nobody does, that is told on standard error, and it is asked again.

    Raises Away where nobody answers for PATIENCE_S.
    """
    outage = _Outage()
    while True:
        try:
            return ask()
        except Away as error:
            outage.wait(error)


def followed(read: Callable[[], Iterator[str]]) -> Iterator[str]:
    """The lines of a log that only grows; where it breaks off it is read again, and goes on behind the last line.

    Raises Away where it cannot be read at first, or for PATIENCE_S.
    """
    passed, outage = 0, _Outage()
    while True:
        try:
            for number, line in enumerate(read()):
                outage = _Outage()
                if number >= passed:
                    passed += 1
                    yield line
            return
        except Away as error:
            if not passed:
                raise
            outage.wait(error)


class _Outage:
    """A time in which nobody answers: told once, and bounded."""

    def __init__(self) -> None:
        self._began: float | None = None

    def wait(self, error: Away) -> None:
        """Wait before the next try. Raises `error` where it has been too long."""
        if self._began is None:
            self._began = time.monotonic()
            Console(stderr=True, highlight=False).print(f"{error}; trying again", markup=False, soft_wrap=True)
        if time.monotonic() - self._began > PATIENCE_S:
            raise error
        time.sleep(AGAIN_S)
