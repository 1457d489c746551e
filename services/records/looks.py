"""Every look at a locked test split: whoever chooses by it, or looks again and again, shall see how often."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contrasweep.services.settings import Settings
from contrasweep.trainers.data.store import json_digest


class Look(BaseModel):
    """One look: phase `phase` of sweep `sweep` read the split for configuration `trial`, at `time` (s since 1970)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sweep: str
    phase: int
    trial: int
    time: float


class Looks:
    """The looks at one test split, known by the volumes' version and the ids in it, whatever the sweeps are called.

    A sweep that reads volumes of several `versions`, with blanks between them, looks at all by looking at one.
    Looks are kept in the home and beside the checkpoints, a line for each; what either has counts.
    """

    def __init__(self, settings: Settings, versions: str, test: Sequence[str]) -> None:
        names = [f"{json_digest([version, sorted(test)])[:16]}.jsonl" for version in versions.split()]
        folders = (settings.home / "test-looks", Path(settings.storage_path) / ".test-looks")
        self._paths = tuple(dict.fromkeys(folder / name for folder in folders for name in names))

    def add(self, sweep: str, phase: int, trial: int) -> int:
        """Write a look down, before it happens; how many there are with it.

        A look that is taken up again after the driver died is the same one.
        """
        if not any((look.sweep, look.phase, look.trial) == (sweep, phase, trial) for look in self.all()):
            line = Look(sweep=sweep, phase=phase, trial=trial, time=time.time()).model_dump_json() + "\n"
            for path in self._paths:
                _append(path, line)
        return len(self.all())

    def all(self) -> list[Look]:
        """All looks, the first first."""
        found = {look for path in self._paths for look in _read(path)}
        return sorted(found, key=lambda look: look.time)


def _append(path: Path, line: str) -> None:
    """Add a line in one step, so that two sweeps can at the same moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(file).st_size
        is_torn = size and os.pread(file, 1, size - 1) != b"\n"
        os.write(file, ("\n" * is_torn + line).encode())
        os.fsync(file)
    finally:
        os.close(file)


def _read(path: Path) -> Iterator[Look]:
    """The looks in a file; a line that is damaged is in the other one, too."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with suppress(ValidationError):
            yield Look.model_validate_json(line)
