"""What Ctrl-C, SIGTERM and SIGHUP, of a terminal that is closed, do to a sweep."""

import errno
import os
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_POLL_S = 0.1

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def termination() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, and not as Ray would have it, without a word."""

    def handle(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling((signal.SIGTERM, signal.SIGHUP), handle):
        yield


@contextmanager
def interruption(say: Callable[[], None]) -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM, SIGHUP) sets the event that is yielded; the second ends the program at once.

    `say` is called at the first, in a thread of its own: what it prints may be under way already in this one.
    """
    asked, over = threading.Event(), threading.Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def tell() -> None:
        while not over.wait(_POLL_S):
            if asked.is_set():
                say()
                return

    teller = threading.Thread(target=tell, name="interruption", daemon=True)
    with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), handle):
        teller.start()
        try:
            yield asked
        finally:
            over.set()
            teller.join()


@contextmanager
def _handling(signals: tuple[signal.Signals, ...], handler: Handler) -> Iterator[None]:
    """Have `handler` take the signals for as long as the block; a SIGHUP that `nohup` has ignored stays ignored."""

    def handle(signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGHUP:
            _print_nowhere()
        handler(signum, frame)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in signals if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _print_nowhere() -> None:
    """Send to nowhere what is printed on a terminal that is gone: printing there fails, and with it the sweep."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        try:
            termios.tcgetattr(output)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                os.dup2(nowhere, output)
    os.close(nowhere)
