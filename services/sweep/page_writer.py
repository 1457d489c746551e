"""Beside a running sweep: its page, kept up to date on disk and in the tracking store."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.hindrances import hindrance
from contrasweep.services.settings import Settings
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep_page import write

EVERY_S = 30.0
SHARE = 0.05
"""Of the time, at most, that the page is drawn in: a large sweep's is drawn less often."""

log = logging.getLogger("contrasweep.report")


class PageWriter:
    """Writes a sweep's page again and again, and never raises: the first error is logged, the rest are not."""

    def __init__(self, settings: Settings, folder: SweepFolder, tracker: Tracker) -> None:
        self._settings, self._folder, self._tracker = settings, folder, tracker
        self._complained = False

    @contextmanager
    def kept_up_to_date(self) -> Iterator[None]:
        """Write the page now, and from time to time for as long as the block, in a thread of its own."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep_up, args=(over,), name="report", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def write(self, state: SweepState | None = None) -> None:
        """Write the page once; `state`, if given, is how the sweep stands."""
        try:
            self._tracker.report(*write(self._settings, self._folder, state))
        except Exception as error:  # whatever a figure fails of, the sweep goes on
            if not self._complained:
                trace = None if hindrance(error) else error
                log.warning("the report cannot be written: %s: %s", type(error).__name__, error, exc_info=trace)
            self._complained = True

    def _keep_up(self, over: threading.Event) -> None:
        wait_s = 0.0
        while not over.wait(wait_s):
            began = time.monotonic()
            self.write()
            wait_s = max(EVERY_S, (time.monotonic() - began) / SHARE)
