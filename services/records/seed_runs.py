"""Seed runs that are there already, of whatever sweep: what makes one, where it is, and whoever trains it now."""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from contrasweep.services.locks import holding
from contrasweep.services.records.code import code_digest
from contrasweep.trainers import checkpoint
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.data.store import json_digest
from contrasweep.trainers.errors import Damaged
from contrasweep.trainers.history import COMPLETE, START, History

AFTERWARDS = ("trainers/analyses", "trainers/baselines", "trainers/exports", "trainers/served")
"""What reads runs that are done: no run is another one by it."""

_MACHINES = ("cpus_per_worker", "gpus_per_worker")
_POLL_S = 1.0
log = logging.getLogger("contrasweep.trial")


@dataclass(frozen=True)
class SeedRuns:
    """The whole seed runs that sweeps with one storage path have left.

    Attributes:
        storage: that path.
        data: what a run reads, as a digest: volumes, the parts of the split that training sees, weights to start from.
        start: of what the run reads that it starts from, where it does.
        own: the sweep whose runs alone are known, by its id; empty where those of all are.
    """

    storage: Path
    data: str
    start: "SeedRuns | None" = None
    own: str = ""

    @classmethod
    def chained(cls, runs: Sequence["SeedRuns"]) -> "SeedRuns":
        """The first of `runs`, of those that start from runs of the second, and so on."""
        own, *earlier = runs
        return replace(own, start=cls.chained(earlier)) if earlier else own

    def key(self, run: RunConfig) -> str:
        """What makes a run, as a digest: its configuration, its data, on which kind of device, the code that trains,
        and the run that it starts from.
        """
        told = run.model_dump(mode="json", exclude={"model": {"init_from"}, "training": {*_MACHINES}, "start": True})
        device = "cuda" if run.training.gpus_per_worker else "cpu"
        start = [self.start.key(run.start)] if self.start and run.start else []
        return json_digest([told, self.data, device, code_digest(("trainers",), AFTERWARDS), *start])[:32]

    def find(self, run: RunConfig) -> Path | None:
        """The folder of such a run, whole and with all weights that are to be kept, if there is one."""
        try:
            folder = self.storage / json.loads(self._entry(run).read_text())["folder"]
            history = History.read(folder)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = history is not None and history.state == COMPLETE
        return folder if whole and all((folder / name).exists() for name in run.kept.values()) else None

    def take(self, run: RunConfig) -> Path | None:
        """The same, to be copied: weights that are damaged are said, and not found again."""
        folder = self.find(run)
        if folder is None:
            return None
        try:
            for name in run.kept.values():
                checkpoint.check(folder / name)
        except Damaged as error:
            log.warning("%s; it is not taken", error)
            self._entry(run).unlink(missing_ok=True)
            return None
        return folder

    def name_of(self, folder: Path) -> str:
        """How a run is called: its sweep, trial and seed."""
        return folder.relative_to(self.storage).as_posix()

    def add(self, run: RunConfig, folder: Path) -> None:
        """Remember the folder of a whole run, unless another one is known."""
        if self.find(run) is None:
            entry = json.dumps({"folder": os.path.relpath(folder, self.storage)})
            write_atomically(self._entry(run), entry.encode())
        if self.own:
            replace(self, own="").add(run, folder)

    @contextmanager
    def claimed(self, run: RunConfig, is_asked_to_stop: Callable[[], bool]) -> Iterator[None]:
        """Hold a run for as long as the block, so that nobody trains it twice at once; wait for whoever does now.

        The claim goes with the process, however it ends.
        """
        path = self._entry(run).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with holding(path, lambda: not is_asked_to_stop(), _POLL_S):
            yield

    def _entry(self, run: RunConfig) -> Path:
        return self.storage / self.own / ".seed-runs" / f"{self.key(run)}.json"


def copy_run(source: Path, folder: Path) -> None:
    """Copy all that a whole seed run left, its history last, but for what it started from.

    Files that the file system can share are shared.
    """
    for path in sorted(source.rglob("*"), key=lambda path: path.name == "history.json"):
        own = path.relative_to(source)
        if path.is_file() and not path.name.startswith(".") and own.parts[0] != START:
            _copy(path, folder / own)


def take_weights(source: Path, folder: Path, name: str) -> None:
    """Copy the weights of a whole seed run, to start from, and then its history, which says that they are of `name`."""
    history = History.read(source)
    assert history
    _copy(source / "best.pt", folder / "best.pt")
    history.taken = name
    history.write(folder)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
