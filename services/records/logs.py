"""Log files: the driver's own, and one for each configuration; plain lines, each with its time in UTC."""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.control import Control

from contrasweep.services.text import WithoutSecrets
from contrasweep.trainers.errors import UserError

_DRIVER, _TRIAL, _WARNINGS = "contrasweep", "contrasweep.trial", "py.warnings"
_WIDEST = 10_000


@contextmanager
def driver_log(path: Path, console: Console) -> Iterator[None]:
    """For as long as the block, what is printed on `console` also goes to `path`, and what contrasweep logs.

    So does the exception that ends the block. The file is appended to.
    """
    log = logging.getLogger(_DRIVER)
    with _writing(path, _DRIVER), _warning_on_screen(log):
        console.push_render_hook(_Copy(log))
        try:
            yield
        except KeyboardInterrupt:
            log.info("interrupted")
            raise
        except BaseException as error:
            log.info("failed: %s", error, exc_info=None if isinstance(error, UserError) else error)
            raise
        finally:
            console.pop_render_hook()


@contextmanager
def part_log(path: Path) -> Iterator[None]:
    """For as long as the block, what goes to the driver's log also goes to `path`."""
    with _writing(path, _DRIVER):
        yield


@contextmanager
def trial_log(folder: Path) -> Iterator[None]:
    """For as long as the block, what is logged of a configuration goes to `log.txt`, and so do Python's warnings."""
    logging.captureWarnings(True)
    try:
        with _writing(folder / "log.txt", _TRIAL, _WARNINGS):
            yield
    finally:
        logging.captureWarnings(False)


def read_log(path: Path) -> Iterator[str]:
    """The lines of a log as they are now; none where there is no log yet."""
    yield from _lines(path, iter([False]))


def follow_log(path: Path, goes_on: Iterable[bool]) -> Iterator[str]:
    """The lines of a log as they come; `goes_on` says before each further look whether more may come, or waits."""
    yield from _lines(path, iter(goes_on))


class _Lines(WithoutSecrets):
    """Each line of a message with its time: `2026-01-31 09:59:00Z text`."""

    def format(self, record: logging.LogRecord) -> str:
        """All lines of a record, blank ones and passwords of addresses left out."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(record.created))
        lines = super().format(record).splitlines()
        return "\n".join(f"{stamp} {line}".rstrip() for line in lines if line.strip())


class _File(logging.FileHandler):
    """A log file that leaves out what there is no room for: whoever logs goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing for an error of the file; for others, what is usual."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close it, also where what is left cannot be written."""
        with suppress(OSError):
            super().close()


class _Copy(RenderHook):
    """Passes on to a logger, as plain text, what a console is asked to print; bars and cursor moves are left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log, self._lock = log, threading.Lock()
        self._plain = Console(width=_WIDEST, no_color=True, highlight=False, quiet=True)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """`renderables`, unchanged."""
        with self._lock:
            for renderable in renderables:
                if not isinstance(renderable, Control):
                    segments = self._plain.render(renderable)
                    text = "".join(segment.text for segment in segments if not segment.control)
                    if text.strip():
                        self._log.info("%s", text)
        return renderables


@contextmanager
def _writing(path: Path, *names: str) -> Iterator[None]:
    """Everything from INFO on that the named loggers are told is appended to `path`, and goes nowhere else.

    Ray gives the root logger a handler that would show it on the screen once more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _File(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Lines())
    loggers = [logging.getLogger(name) for name in names]
    before = [(log.level, log.propagate) for log in loggers]
    for log in loggers:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    try:
        yield
    finally:
        for log, (level, propagates) in zip(loggers, before, strict=True):
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = propagates
        handler.close()


@contextmanager
def _warning_on_screen(log: logging.Logger) -> Iterator[None]:
    """Warnings go to standard error as they do where a logger has no handler of its own."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(WithoutSecrets())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _lines(path: Path, goes_on: Iterator[bool]) -> Iterator[str]:
    position, begun, more = 0, b"", True
    while more:
        more = next(goes_on)
        if path.exists():
            with path.open("rb") as file:
                file.seek(position)
                new = file.read()
            position += len(new)
            *whole, begun = (begun + new).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
    if begun:
        yield begun.decode(errors="replace")
