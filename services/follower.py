"""Beside Tune: passing on what happens, keeping the time, and stopping when somebody asks."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

import ray

from services.folder import SweepFolder, SweepState
from services.searcher import SweepSearcher
from services.standing import Standing
from services.watch import Watch

POLL_S = 0.5
KEEP_S = 10.0


class Follower:
    """A thread beside Tune: passes events on, keeps the time, and has the sweep pause when it should."""

    def __init__(
        self,
        folder: SweepFolder,
        budget_hours: float | None,
        state: SweepState,
        interrupted: threading.Event,
        referee: Any,
        searcher: SweepSearcher,
        watch: Watch,
    ) -> None:
        self._folder, self._state, self._interrupted = folder, state, interrupted
        self._referee, self._searcher, self._watch = referee, searcher, watch
        self._budget_s = float("inf") if budget_hours is None else budget_hours * 3600
        self._over = threading.Event()
        self._kept: Standing | None = None
        self._error: Exception | None = None
        self.stopped = False

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow for as long as the block. Raises what the thread died of, if it did."""
        self._keep()
        self._pause_if_due()
        thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self._error:
            raise self._error
        self._watch.follow(ray.get(self._referee.drain.remote()))
        self._keep()

    def _follow(self) -> None:
        before_s, began, kept_s = self._state.spent_s, time.monotonic(), 0.0
        try:
            while not self._over.wait(POLL_S):
                self._watch.follow(ray.get(self._referee.drain.remote()))
                self._state.spend(before_s + time.monotonic() - began)
                if self._state.spent_s - kept_s > KEEP_S or self._watch.standing() != self._kept:
                    kept_s = self._state.spent_s
                    self._keep()
                self._pause_if_due()
        except Exception as error:  # raised again in the main thread; without this one nothing stops the sweep
            self._error = error
            self._searcher.close()
            self._referee.pause.remote()

    def _keep(self) -> None:
        self._kept = self._watch.standing()
        vars(self._state).update(asdict(self._kept))
        self._folder.write_state(self._state)

    def _pause_if_due(self) -> None:
        asked = self._interrupted.is_set() or self._folder.is_asked_to_stop(self._state.attempt)
        self.stopped = self.stopped or asked
        if self.stopped or self._state.spent_s > self._budget_s:
            self._searcher.close()
            self._referee.pause.remote()


@contextmanager
def termination() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, and not as Ray would have it, without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) sets the event that is yielded; the second ends the program at once."""
    asked = threading.Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
