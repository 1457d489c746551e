"""Work for a service that may be away: done in order by one background thread, tried again until it succeeds."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from contrasweep.services.text import one_line

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
MOST = 5000
"""Tasks that are kept for a service that is away."""

log = logging.getLogger("contrasweep.outbox")


class Outbox:
    """A queue of tasks that never raises into the caller, and loses nothing while the process lives.

    A task must be safe to repeat: it runs again after any error, unless `refused(error)` says that the
    service will never accept it and `mend` finds nothing of what is there already to be mended; then it is dropped.
    `reset` runs before a task is tried again, to forget what may no longer hold. An outage is warned of once, and so
    are tasks that are dropped. Of more than `MOST` tasks what `instead` returns takes the place.
    """

    def __init__(
        self,
        service: str,
        refused: Callable[[Exception], bool],
        reset: Callable[[], None],
        mend: Callable[[], bool],
        instead: Callable[[], Callable[[], None]],
    ) -> None:
        self._service, self._refused, self._reset, self._mend, self._instead = service, refused, reset, mend, instead
        self._tasks: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._closed = False
        self._away = False
        self._delivered = self._dropped = self._unheard = 0
        self._thread = threading.Thread(target=self._work, name=f"outbox-{service}", daemon=True)
        self._thread.start()

    def put(self, task: Callable[[], None]) -> None:
        """Queue `task`; returns at once. After `close` it is lost."""
        with self._changed:
            if self._closed:
                self._unheard += 1
                return
            if len(self._tasks) >= MOST:
                under_way = self._tasks[0]
                self._tasks.clear()
                self._tasks += [under_way, self._instead()]
            self._tasks.append(task)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> int:
        """Wait until all is delivered, or until nothing was for `timeout_s`; how many tasks are not, or were lost."""
        self._hurry.set()
        with self._changed:
            before = -1
            while self._tasks and not self._closed and self._delivered != before:
                before = self._delivered
                self._changed.wait_for(lambda: not self._tasks or self._delivered != before, timeout_s)  # noqa: B023
            undelivered = len(self._tasks) + self._unheard
        self._hurry.clear()
        return undelivered

    def close(self) -> None:
        """Stop the thread; what is undelivered stays so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._hurry.set()
        if self._dropped > 1:
            log.warning("%s refused %d updates in all", self._service, self._dropped)

    def _work(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (task := self._next()) is not None:
            if self._deliver(task):
                wait_s = _FIRST_WAIT_S
                with self._changed:
                    self._tasks.popleft()
                    self._delivered += 1
                    self._changed.notify_all()
            else:
                self._pause(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._closed)
            return None if self._closed else self._tasks[0]

    def _deliver(self, task: Callable[[], None]) -> bool:
        """Whether the task is done with."""
        try:
            done = self._is_done(task)
        except Exception as error:  # the thread must outlive whatever the service's client raises
            if not self._away:
                log.warning("%s does not answer; updates are kept and sent later: %s", self._service, one_line(error))
            self._away = True
            self._reset()
            return False
        if self._away:
            log.warning("%s answers again", self._service)
        self._away = False
        return done

    def _is_done(self, task: Callable[[], None]) -> bool:
        """Whether the service took the task, or never will. Raises what it fails of, where it is to be tried again."""
        try:
            task()
        except Exception as error:
            if not self._refused(error):
                raise
            if self._mend():
                return False
            if not self._dropped:
                log.warning("%s refused an update, which is dropped: %s", self._service, one_line(error))
            log.debug("the refused update", exc_info=error)
            self._dropped += 1
        return True

    def _pause(self, wait_s: float) -> None:
        # Someone who waits in flush cuts the first pause short; after that, the pauses are short for him.
        if self._hurry.is_set():
            time.sleep(min(wait_s, _FIRST_WAIT_S))
        else:
            self._hurry.wait(wait_s)
