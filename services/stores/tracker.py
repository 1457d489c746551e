"""What a driver tells MLflow of its sweep: only the driver tracks, and it never waits for MLflow."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from contrasweep.services.stores.mlflow import RunState, SweepRuns, is_refused
from contrasweep.services.stores.outbox import Outbox
from contrasweep.services.stores.telling import Telling
from contrasweep.services.text import one_line
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES

PATIENCE_S = 20.0
"""At the end of a sweep, for an MLflow that takes nothing."""

log = logging.getLogger("contrasweep.tracking")


class Tracker(Telling):
    """What a driver tells MLflow of one sweep. Every method returns at once and none raises for MLflow's sake.

    Without an `artifact_location` the server decides on it; beside a SQLite store it is the folder `artifacts`. Where
    there is no `tracking_uri` nobody is told. `retell` tells all that a sweep has on disk: for what was deleted from
    the server, and in place of updates that became too many to keep. `opening` is as in `SweepRuns`.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_location: str | None,
        sweep_name: str,
        sweep_id: str,
        objective: str = OBJECTIVES[DEFAULT].key,
        retell: Callable[[Telling], None] = lambda telling: None,
        opening: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        runs = SweepRuns(tracking_uri, artifact_location, sweep_name, sweep_id, opening)
        self._outbox = Outbox("MLflow", is_refused, runs.forget, self._mend, self._instead)
        super().__init__(runs, objective, self._outbox.put)
        self._tell_all = retell
        self._deleted_before = False
        if not tracking_uri:
            self._outbox.close()

    def catch_up(self) -> None:
        """Tell all that the sweep has on disk: what an earlier driver did not deliver."""
        self._outbox.put(self._retell)

    def flush(self, timeout_s: float) -> int:
        """Wait for MLflow, until it has taken nothing for `timeout_s`; how many updates are undelivered."""
        return self._outbox.flush(timeout_s)

    def finish(self, state: RunState, timeout_s: float = PATIENCE_S) -> int:
        """Close every run of this sweep, and stop tracking; how many updates MLflow did not take, as in `flush`."""
        self._outbox.put(self._runs.check)
        self.close(state)
        undelivered = self._outbox.flush(timeout_s)
        self._outbox.close()
        return undelivered

    def _retell(self) -> None:
        self._tell_all(Telling(self._runs, self._objective, at_once))

    def _instead(self) -> Callable[[], None]:
        self._shed()
        return self._retell

    def _mend(self) -> bool:
        """Restore runs that were deleted from the server, or make them anew, with all that they had; if any were."""
        try:
            self._runs.check()
        except Exception as error:
            if not is_refused(error):
                raise
        else:
            return False
        if not self._deleted_before:
            log.warning("runs of the sweep were deleted from MLflow: they are restored, or made anew")
        self._deleted_before = True
        self._runs.begin_anew()
        self._retell()
        return True


def at_once(task: Callable[[], None]) -> None:
    """Do a task now; one that MLflow refuses is left out, with a warning."""
    try:
        task()
    except Exception as error:
        if not is_refused(error):
            raise
        log.warning("MLflow refused an update, which is left out: %s", one_line(error))
