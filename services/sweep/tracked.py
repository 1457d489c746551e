"""A sweep in the tracking store and as a page, for as long as its driver is at it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from rich.console import Console

from contrasweep.services.data.prepare import Prepared, versions_of
from contrasweep.services.data.weights import InitialWeights
from contrasweep.services.records.code import code_digest
from contrasweep.services.records.drivers import add_driver
from contrasweep.services.records.folder import STOPPED, SweepFolder, SweepState
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import Options, SweepSpec
from contrasweep.services.stores.mlflow import RunState
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.page_writer import PageWriter


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
        self._spec, self._folder, self._console = spec, folder, console
        self._prepared, self._start = prepared, start
        self.tracker = Tracker(settings.tracking_uri, None, spec.name, folder.sweep_id, spec.plan.objective.key)
        self.page = PageWriter(settings, folder, self.tracker)
        self.ended: RunState = "failed"

    @contextmanager
    def tracking(self, state: SweepState) -> Iterator[None]:
        """Track for as long as the block; however it ends, no run stays open and MLflow is waited for.

        Where it does not answer, the sweep is not finished: `resume` has only the rest to deliver.
        """
        digests = {"volumes": versions_of(self._prepared), "code": code_digest()}
        params = {"contrasweep": version("contrasweep"), "objective": ", ".join(self._spec.search.objective)}
        for name in self._spec.data.cohorts:
            digests[f"external_{name}"] = versions_of({o: one.external[name] for o, one in self._prepared.items()})
        if self._start:
            digests["init_from"], params["init_from"] = self._start.digest, self._start.summary
        self.tracker.start(self._spec.to_yaml(), params, digests, state.user)
        add_driver(self._folder, state, digests)
        try:
            yield
        except BaseException as error:
            state.end_with(error)
            raise
        finally:
            with waiting(self._console, "writing the report, waiting for MLflow"):
                self.page.write(state)
                undelivered = self.tracker.finish(self.ended)
            if undelivered:
                state.state = STOPPED
                state.reason = (
                    state.reason or f"{undelivered} updates did not reach MLflow; the next `resume` delivers them"
                )
