"""What a person sees while something takes its time and cannot say how far it is: what it is, and for how long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

WORTH_A_LINE_S, AGAIN_S = 0.5, 30.0


@contextmanager
def waiting(console: Console, words: str) -> Iterator[None]:
    """Show `words` for as long as the block.

    On a terminal with the seconds, and gone afterwards; elsewhere as a line, unless it is over before 0.5 s, and
    again every 30 s.
    """
    shown = _spinner(console, words) if console.is_terminal else _lines(console, words)
    with shown:
        yield


@contextmanager
def _spinner(console: Console, words: str) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    bar.add_task(words, total=None)
    with bar:
        yield


@contextmanager
def _lines(console: Console, words: str) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(console, words, over), name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(console: Console, words: str, over: threading.Event) -> None:
    began, told, wait_s = time.monotonic(), words, WORTH_A_LINE_S
    while not over.wait(wait_s):
        console.print(told, soft_wrap=True, markup=False)
        wait_s = AGAIN_S
        told = f"{words}, {time.monotonic() - began + wait_s:.0f} s"
