"""What a person sees while a long step runs: a bar on a terminal, a plain line every 30 s elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from contrasweep.services.screen.waiting import waiting

PLAIN_INTERVAL_S = 30.0
WIDE = 100
"""Columns of a terminal with room for the rate, too."""


class Meter:
    """Progress of one step: `update` it with what is done, out of how much, and a few words."""

    def __init__(self, console: Console, title: str, bar: Progress | None) -> None:
        self._console, self._title, self._bar = console, title, bar
        self._task = bar.add_task(title, total=None, words="", rate="") if bar else None
        self._started = self._printed = time.monotonic()
        self._already: float | None = None

    def update(self, done: float, total: float, words: str = "", unit: str = "") -> None:
        """Show `done` of `total` units, the rate since the first call, and `words`."""
        now = time.monotonic()
        self._already = done if self._already is None else self._already
        rate = (done - self._already) / max(now - self._started, 1e-9)
        if self._bar and self._task is not None:
            shown = f"{rate:.3g} {unit}/s" if unit else ""
            self._bar.update(self._task, completed=done, total=total, words=words, rate=shown)
        elif now - self._printed >= PLAIN_INTERVAL_S:
            self._printed = now
            left = f"{rate:.3g} {unit}/s, {(total - done) / rate:.0f} s left" if rate else ""
            line = " ".join(part for part in (self._title, f"{done:g}/{total:g} {unit}".rstrip(), words, left) if part)
            self._console.print(line, soft_wrap=True, markup=False)


@contextmanager
def meter(console: Console, title: str) -> Iterator[Meter]:
    """A meter that lives as long as the block."""
    if not console.is_terminal:
        yield Meter(console, title, None)
        return
    rate = ("{task.fields[rate]}",) if console.width >= WIDE else ()
    columns = ("{task.description}", BarColumn(), "{task.fields[words]}", *rate)
    shown = [TextColumn(column) if isinstance(column, str) else column for column in columns]
    with Progress(*shown, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        yield Meter(console, title, bar)


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """What to call with a step's name and how many scans of how many are done; each step has a meter of its own."""
    with ExitStack() as stack:
        shown: dict[str, Meter] = {}
        stack.enter_context(waiting(console, "preparing"))

        def update(step: str, done: int, total: int) -> None:
            if step not in shown:
                stack.close()
                shown[step] = stack.enter_context(meter(console, step))
            shown[step].update(done, total, unit="scans")

        yield update
