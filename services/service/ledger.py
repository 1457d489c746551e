"""The ledger: every sweep submitted to the service and what was wished for it, kept in Optuna's storage."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from optuna.exceptions import DuplicatedStudyError, OptunaError
from optuna.storages import BaseStorage
from pydantic import AliasChoices, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.records.answers import Submission
from contrasweep.services.service.bounds import SPEC
from contrasweep.services.service.refusals import Unavailable
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, kept_spec
from contrasweep.services.stores.optuna import directions_of
from contrasweep.services.text import one_line
from contrasweep.trainers.errors import UserError

ATTRIBUTE = "contrasweep"
AWAY = "the store of sweeps does not answer; try again later"

log = logging.getLogger("contrasweep.service")

Phase = Literal["waiting", "out", "over"]
"""Of an entry: in the queue, handed to the cluster, or at rest."""

Hours = Annotated[float, Field(ge=0)]


class Entry(Submission):
    """What the service keeps of one sweep.

    Attributes:
        spec: as YAML; `base` is the folder that its relative paths start from.
        queued: when it last joined the queue, in seconds since 1970.
        wish: what its user wants of it; `now` goes with stop, and does not wait for the epochs under way.
        attempt: the last one handed to the cluster, from 1.
        paused: asked to stop because its user is over quota; it goes back to the queue.
        restarts: in a row without progress; `progress` is what had been reached at the last.
        lost: attempts in a row that the cluster took and nothing was seen of; `refused` says that it did not take the
            last one.
        used: GPU-hours that each ended attempt took, by the time of its end.
        end: how it came to rest, and `reason` why.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    spec: str
    base: str
    queued: float
    phase: Phase = "waiting"
    wish: Literal["run", "stop"] = "run"
    now: bool = False
    attempt: int = 0
    paused: bool = False
    restarts: int = 0
    progress: int = 0
    lost: int = 0
    refused: bool = False
    used: tuple[tuple[float, Hours], ...] = ()
    end: Annotated[
        Literal["", "finished", "failed", "stopped"], Field(validation_alias=AliasChoices("end", "ended"))
    ] = ""
    reason: str = ""

    def load(self) -> LoadedSpec:
        """The spec, as it was last asked for. Raises UserError where another version of this program kept it."""
        return LoadedSpec(kept_spec(self.spec, SPEC), Path("spec.yaml"), Path(self.base), self.id)

    def is_of(self, spec: SweepSpec) -> bool:
        """Whether it is the entry of the sweep that this version would call `spec.sweep_id`."""
        if self.id.rpartition("-")[0] != spec.name:
            return False
        try:
            return self.id == spec.sweep_id or self.load().spec.sweep_id == spec.sweep_id
        except UserError:  # of a version whose words are not known any more
            return False


class Ledger:
    """The entries, all in memory and written through: a process that is killed leaves what it had answered.

    An entry is the attribute `contrasweep` of the study named by the sweep's id, and creating the study is the
    atomic step. Methods raise Unavailable while the storage does not answer; reading needs it once only, at `check`.
    One process at a time keeps a ledger.
    """

    def __init__(self, open_storage: Callable[[], BaseStorage]) -> None:
        self._open = open_storage
        self._storage: BaseStorage | None = None
        self._studies: dict[str, int] = {}
        self._entries: dict[str, Entry] | None = None
        self._complaint = ""
        self._lock = threading.RLock()

    def check(self) -> None:
        """Read all entries, the first time; afterwards only see that the storage answers."""
        with self._lock, self._answering() as storage:
            if self._entries is not None:
                _touch(storage, self._studies)
                return
            kept = {
                study.study_name: (study._study_id, study.user_attrs[ATTRIBUTE])
                for study in storage.get_all_studies()
                if ATTRIBUTE in study.user_attrs
            }
            self._studies = {name: number for name, (number, _) in kept.items()}
            self._entries = {name: Entry.model_validate(content) for name, (_, content) in kept.items()}

    @property
    def is_loaded(self) -> bool:
        """Whether the entries have been read."""
        return self._entries is not None

    def entries(self) -> dict[str, Entry]:
        """All entries by sweep id, as they are now."""
        return dict(self._loaded())

    def get(self, sweep_id: str) -> Entry | None:
        """One entry."""
        return self._loaded().get(sweep_id)

    def create(self, entry: Entry) -> bool:
        """Keep a new entry; False where there is one of this id already."""
        with self._lock, self._answering() as storage:
            if entry.id in self._loaded():
                return False
            try:
                study = storage.create_new_study(directions_of(entry.objective), entry.id)
            except DuplicatedStudyError:  # searched before, by hand; or we were killed between this step and the next
                study = storage.get_study_id_from_name(entry.id)
            self._studies[entry.id] = study
            self._write(storage, entry)
            return True

    def update(self, entry: Entry) -> None:
        """Keep an entry in place of the one of its id."""
        with self._lock, self._answering() as storage:
            if self._loaded()[entry.id] != entry:
                self._write(storage, entry)

    def _write(self, storage: BaseStorage, entry: Entry) -> None:
        content = json.loads(entry.model_dump_json(exclude_defaults=True))
        storage.set_study_user_attr(self._studies[entry.id], ATTRIBUTE, content)
        self._loaded()[entry.id] = entry

    def _loaded(self) -> dict[str, Entry]:
        if self._entries is None:
            raise Unavailable(AWAY)
        return self._entries

    @contextmanager
    def _answering(self) -> Iterator[BaseStorage]:
        try:
            if self._storage is None:
                self._storage = self._open()
            yield self._storage
        except Unavailable:
            raise
        except (SQLAlchemyError, OptunaError, OSError, UserError) as error:
            if str(error) != self._complaint:  # it is asked each second
                log.warning("Optuna's storage: %s", one_line(error))
            self._complaint = str(error)
            raise Unavailable(AWAY) from error
        self._complaint = ""


def _touch(storage: BaseStorage, studies: dict[str, int]) -> None:
    """One small question to the storage itself, not to what is remembered of it."""
    if studies:
        storage.get_study_id_from_name(next(iter(studies)))
    else:
        storage.get_all_studies()
