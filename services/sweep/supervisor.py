"""Beside Tune: passing on what happens, keeping the time, and stopping when somebody asks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from contrasweep.services.records.answers import Counts
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.sweep.monitor import Monitor
from contrasweep.services.sweep.searcher import SweepSearcher

POLL_S = 0.5
KEEP_S = 10.0


class Supervisor:
    """A thread beside Tune: passes events on, keeps the time, and has the sweep pause when it should."""

    def __init__(
        self,
        folder: SweepFolder,
        budget_hours: float | None,
        state: SweepState,
        interrupted: threading.Event,
        referee: Any,
        searcher: SweepSearcher,
        monitor: Monitor,
    ) -> None:
        self._folder, self._state, self._interrupted = folder, state, interrupted
        self._referee, self._searcher, self._monitor = referee, searcher, monitor
        self._budget_s = float("inf") if budget_hours is None else budget_hours * 3600
        self._over = threading.Event()
        self._kept: Counts | None = None
        self._error: Exception | None = None
        self.stopped, self.reason = False, ""

    @property
    def is_spent(self) -> bool:
        """Whether the budget is."""
        return self._state.spent_s > self._budget_s

    @contextmanager
    def supervising(self) -> Iterator[None]:
        """Watch over it for as long as the block. Raises what the thread died of, if it did."""
        self._keep()
        self._pause_if_due()
        thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self._error:
            raise self._error
        self._pause_if_due()
        self._monitor.follow(ray.get(self._referee.drain.remote()))
        self._keep()

    def _supervise(self) -> None:
        before_s, began, kept_s = self._state.spent_s, time.monotonic(), 0.0
        try:
            while not self._over.wait(POLL_S):
                self._monitor.follow(ray.get(self._referee.drain.remote()))
                self._state.spend(before_s + time.monotonic() - began)
                if self._state.spent_s - kept_s > KEEP_S or self._monitor.counts() != self._kept:
                    kept_s = self._state.spent_s
                    self._keep()
                self._pause_if_due()
        except Exception as error:  # raised again in the main thread; without this one nothing stops the sweep
            self._error = error
            self._searcher.close()
            self._referee.pause.remote()

    def _keep(self) -> None:
        self._kept = self._monitor.counts()
        self._state.take(dict(self._kept))
        self._folder.write_state(self._state)

    def _pause_if_due(self) -> None:
        self.reason = self.reason or ray.get(self._referee.hindrance.remote())
        asked = self._interrupted.is_set() or self._folder.is_asked_to_stop(self._state.attempt)
        self.stopped = self.stopped or asked or bool(self.reason)
        if self.stopped or self.is_spent:
            self._searcher.close()
            self._referee.pause.remote()
