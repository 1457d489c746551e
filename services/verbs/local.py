"""The sweeps of this machine: the verbs over the folders of the settings."""

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from contrasweep.services.records.answers import (
    ACTIVE,
    Comparison,
    Final,
    Planned,
    Pooled,
    Submitted,
    Sweep,
    Trial,
    asked_by,
)
from contrasweep.services.records.final_report import read_report
from contrasweep.services.records.folder import RUNNING, STOPPED, SweepFolder, SweepState, recognised
from contrasweep.services.records.leaderboard import counts, told
from contrasweep.services.records.logs import follow_log, read_log
from contrasweep.services.records.trial_record import begun_trials, read_records, trial_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import Damaged, UserError

if TYPE_CHECKING:
    from contrasweep.services.sweep.learned import Learned

POLL_S = 0.5
ELSEWHERE = "a cluster or a service does that: give --address http://HEAD:8265 or --server URL"


class Local:
    """`services.verbs.protocol.Verbs` over the folders that `home` and `storage_path` of the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._storage = settings, Path(settings.storage_path)

    def submit(self, loaded: LoadedSpec) -> Submitted:
        """Raises UserError: here a sweep runs in the foreground."""
        raise UserError(f"submit: {ELSEWHERE}; `contrasweep run {loaded.path}` runs it here")

    def resume(self, sweep_id: str) -> Submitted:
        """Raises UserError: here a sweep runs in the foreground."""
        folder = SweepFolder.find_whole(self._settings, sweep_id)
        raise UserError(f"resume: {ELSEWHERE}; `contrasweep resume {folder.sweep_id}` goes on with it here")

    def extend(self, sweep_id: str, more: More) -> Submitted:
        """Raises UserError: here a sweep runs in the foreground."""
        folder = SweepFolder.find_whole(self._settings, sweep_id)
        raise UserError(f"extend: {ELSEWHERE}; `contrasweep extend {folder.sweep_id}` goes on with it here")

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What the sweep would take on the Ray of the settings."""
        from contrasweep.services.cluster.connect import cluster
        from contrasweep.services.cluster.places import local_node
        from contrasweep.services.data.plan import make_plan
        from contrasweep.services.data.weights import find_weights
        from contrasweep.services.spec.checks import check_spec
        from contrasweep.services.sweep.learned import recall

        settings = self._settings
        loaded = recognised(loaded, settings)
        check_spec(loaded, settings.data_roots)
        learned = recall(loaded.spec, settings, self._storage / loaded.sweep_id)
        here = settings.ray_address == "local"
        with (
            find_weights(loaded, settings) as weights,
            nullcontext([local_node()]) if here else cluster(settings) as nodes,
        ):
            planned = make_plan(loaded, settings, nodes, weights)
            there, known = _there(loaded, settings, weights, learned), Counter(one.sweep for one in learned)
            return planned.model_copy(update={"there": there, "learned": dict(known)})

    def sweeps(self) -> list[Sweep]:
        """All sweeps, the oldest first."""
        sweeps = [self._describe(folder) for folder in SweepFolder.every(self._settings)]
        return sorted(sweeps, key=lambda sweep: (sweep.started, sweep.id))

    def status(self, sweep_id: str) -> Sweep:
        """How a sweep stands, with its final figure where it has one, and how its searches in outer folds do."""
        folder = self._find(sweep_id)
        return self._describe(folder).model_copy(update=details(folder))

    def trials(self, sweep_id: str) -> list[Trial]:
        """A sweep's configurations, the best first; none of one with outer folds, whose searches have them."""
        folder = self._find(sweep_id)
        return told(read_records(self._storage / folder.sweep_id, folder.load().spec.plan))

    def compare(self, sweep_ids: Sequence[str]) -> Comparison:
        """Several sweeps side by side, each against the first.

        Raises UserError on one alone, and on one that is named twice.
        """
        from contrasweep.services.records.comparison import compare, read_side

        folders = [self._find(sweep_id) for sweep_id in sweep_ids]
        names = [folder.sweep_id for folder in folders]
        if len(names) < 2:
            raise UserError(f"compare: '{names[0]}' alone is not allowed: two sweeps or more")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"compare: '{twice}' is named {names.count(twice)} times; two different sweeps or more")
        return compare(
            [read_side(folder, self._describe(folder), self._storage / folder.sweep_id) for folder in folders]
        )

    def logs(self, sweep_id: str, trial: int | None = None, follow: bool = False) -> Iterator[str]:
        """Lines of the driver's log, or of a configuration's; `follow` goes on until the sweep is not active."""
        folder = self._find(sweep_id)
        path = folder.log if trial is None else self._trial_log(folder, trial, follow)
        return follow_log(path, _while_active(folder)) if follow else read_log(path)

    def stop(self, sweep_id: str, now: bool = False) -> Sweep:
        """Leave word for the driver to stop, or, with `now`, kill it.

        Raises UserError where none runs, and where the one to kill runs on another machine.
        """
        folder = SweepFolder.find_whole(self._settings, sweep_id)
        state = folder.read_state()
        if state.state != RUNNING:
            raise UserError(f"sweep {folder.sweep_id} is not running; it is {state.state}")
        if now:
            _kill(folder, state)
        else:
            folder.ask_to_stop(state.attempt)
        return self._describe(folder)

    def sync(self, sweep_id: str) -> Sweep:
        """Tell MLflow all of a sweep that does not run, from what is on disk; how it stands."""
        from contrasweep.services.sweep.delivery import deliver

        folder = SweepFolder.find_whole(self._settings, sweep_id)
        deliver(self._settings, folder)
        return self._describe(folder)

    def report(self, sweep_id: str) -> str:
        """The sweep's HTML report as of now."""
        from contrasweep.services.sweep_page import render

        return render(self._settings, self._find(sweep_id))

    def _find(self, sweep_id: str) -> SweepFolder:
        return SweepFolder.find(self._settings, sweep_id)

    def _describe(self, folder: SweepFolder) -> Sweep:
        """A sweep whose driver kept no figures, of an older version, is described by its spec and its records."""
        sweep = describe(folder)
        if sweep.trials:
            return sweep
        spec = folder.load().spec
        found = counts(read_records(self._storage / folder.sweep_id, spec.plan))
        final = read_final(folder)
        test_mae = final.metrics["mae"].value if final else None
        return sweep.model_copy(update=asked_by(spec) | dict(found) | {"test_mae": test_mae})

    def _trial_log(self, folder: SweepFolder, trial: int, follow: bool) -> Path:
        path = trial_log_path(self._settings, folder.sweep_id, trial)
        begun = begun_trials(self._storage / folder.sweep_id)
        if not follow and trial not in begun:
            known = f"{min(begun)} to {max(begun)} have" if begun else "none has"
            raise UserError(f"trial {trial} of sweep {folder.sweep_id} has not begun; {known}")
        return path


def _there(loaded: LoadedSpec, settings: Settings, weights: Path | None, learned: "Sequence[Learned]") -> int:
    """How many seed runs are there already, at least; none before the volumes are prepared."""
    from contrasweep.services.data.prepare import find_prepared_each, searches_of
    from contrasweep.services.data.weights import digest_of_weights
    from contrasweep.services.sweep.reuse import count_there, seed_runs

    spec, prepared = loaded.spec, find_prepared_each(loaded, settings.volumes)
    if prepared is None or spec.search.fresh:
        return 0
    start, found = digest_of_weights(weights) if weights else None, 0
    for search in searches_of(prepared):
        folds = next(iter(search.values())).folds
        ranges = {options: one.label_range for options, one in search.items()}
        found += count_there(spec, folds, seed_runs(spec, settings, search, start), ranges, learned)
    return found


def describe(folder: SweepFolder) -> Sweep:
    """How a sweep stands by its state file alone."""
    state = folder.read_state()
    asked = state.state == RUNNING and folder.is_asked_to_stop(state.attempt)
    return state.told().model_copy(update={"state": "stopping"} if asked else {})


def details(folder: SweepFolder) -> dict[str, Any]:
    """What is told of one sweep that is asked for, and not of all."""
    try:
        final, damaged = read_final(folder), {}
    except Damaged as error:
        final, damaged = None, {"reason": str(error), "test_mae": None}
    told = {"final": final, "searches": tuple(map(describe, folder.searches))}
    return told | damaged | ({"test_mae": final.metrics["mae"].value} if final else {})


def read_final(folder: SweepFolder) -> Final | Pooled | None:
    """The final figure of a sweep, or None where it has none yet. Raises Damaged where it cannot be read."""
    return read_report(folder.final).told() if folder.final.exists() else None


def trial_log_path(settings: Settings, sweep_id: str, trial: int) -> Path:
    """Where a configuration's log is."""
    return trial_folder(Path(settings.storage_path) / sweep_id, trial) / "log.txt"


def _while_active(folder: SweepFolder) -> Iterator[bool]:
    while describe(folder).state in ACTIVE:
        yield True
        time.sleep(POLL_S)
    yield False


def _kill(folder: SweepFolder, state: SweepState) -> None:
    """Kill the driver with all that it started on this machine, and say that the sweep is stopped."""
    if state.host not in ("", socket.gethostname()):
        raise UserError(
            f"sweep {folder.sweep_id} runs on {state.host}, in process {state.pid}: stop it there, or through "
            f"the cluster or service that runs it (--address, --server); without --now it stops from here, too"
        )
    with suppress(psutil.NoSuchProcess):
        driver = psutil.Process(state.pid)
        for process in (driver, *driver.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    folder.settle(STOPPED, "killed by `stop --now`")
