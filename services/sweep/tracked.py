"""A sweep in the tracking store and as a page, for as long as its driver is at it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from contrasweep.services.data.prepare import Prepared, versions_of
from contrasweep.services.data.weights import InitialWeights
from contrasweep.services.records.code import code_digest
from contrasweep.services.records.drivers import add_driver, read_drivers
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.screen.words import undelivered_words
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import Options, SweepSpec
from contrasweep.services.stores.mlflow import RunState
from contrasweep.services.stores.telling import Telling
from contrasweep.services.stores.tracker import PATIENCE_S, Tracker
from contrasweep.services.sweep.delivery import begin, tell
from contrasweep.services.sweep.page_writer import PageWriter
from contrasweep.services.sweep.tracking_store import opening


class Tracked:
    """What a driver tells of a sweep, or of the search in an outer fold; `ended` is how its run will be closed."""

    def __init__(
        self,
        spec: SweepSpec,
        settings: Settings,
        folder: SweepFolder,
        console: Console,
        prepared: Mapping[Options, Prepared],
        start: InitialWeights | None,
    ) -> None:
        self._settings, self._folder, self._console = settings, folder, console
        self._prepared, self._start, self._cohorts = prepared, start, tuple(spec.data.cohorts)
        self._state: SweepState | None = None
        uri, objective = settings.tracking_uri, spec.plan.objective.key
        self.tracker = Tracker(
            uri, None, spec.name, folder.sweep_id, objective, self._retell, lambda: opening(settings)
        )
        self.page = PageWriter(settings, folder, self.tracker)
        self.ended: RunState = "failed"

    @contextmanager
    def tracking(self, state: SweepState) -> Iterator[None]:
        """Track for as long as the block; however it ends, no run stays open and MLflow is waited for.

        Where it does not answer, the sweep is `undelivered`; nothing else hangs on it.
        """
        digests = {"volumes": versions_of(self._prepared), "code": code_digest()}
        for name in self._cohorts:
            digests[f"external_{name}"] = versions_of({o: one.external[name] for o, one in self._prepared.items()})
        if self._start:
            digests["init_from"] = self._start.digest
        resumed, self._state = bool(read_drivers(self._folder)), state
        add_driver(self._folder, state, digests, self._start.summary if self._start else "")
        begin(self.tracker, self._folder, state)
        if resumed:
            self.tracker.catch_up()
        try:
            yield
        except BaseException as error:
            state.end_with(error)
            raise
        finally:
            with waiting(self._console, f"writing the report, waiting for MLflow, {PATIENCE_S:.0f} s if it is silent"):
                self.page.write(state)
                parts = any(part.read_state().undelivered for part in self._folder.searches)
                state.undelivered = self.tracker.finish(self.ended) > 0 or parts
            if state.undelivered:
                self.page.write(state)  # which says so
                self._console.print(f"mlflow    {undelivered_words(self._folder.sweep_id)}", soft_wrap=True)

    def _retell(self, telling: Telling) -> None:
        if self._state:
            tell(telling, self._settings, self._folder, self._state)
