"""What the sweeps' folders say, read again only where something changed."""

import logging
import os
from pathlib import Path

from contrasweep.services.records.answers import Sweep
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.service.queue import HELD
from contrasweep.services.verbs.local import describe

_Stamp = tuple[int, int]

log = logging.getLogger("contrasweep.service")


class Folders:
    """The folders in `sweeps`; a thousand that rest cost one look at each state file's date. Raises OSError.

    One whose state cannot be read, or is none, does not hold up the others: it stays as it was last seen.
    """

    def __init__(self, sweeps: Path) -> None:
        self._sweeps = sweeps
        self._known: dict[str, tuple[_Stamp, Sweep]] = {}
        self._strange: set[str] = set()

    def look(self) -> dict[str, Sweep]:
        """How each folder describes itself, by sweep id; those without a state yet are left out."""
        if not self._known and not self._sweeps.exists():
            return {}
        with os.scandir(self._sweeps) as found:
            names = [entry.name for entry in found]
        seen = {name: described for name in names if (described := self._describe(name))}
        self._known = {name: self._known[name] for name in seen}
        return seen

    def _describe(self, name: str) -> Sweep | None:
        path = self._sweeps / name
        stamped, sweep = self._known.get(name, (None, None))
        try:
            found = os.stat(path / "state.json")
            stamp = (found.st_mtime_ns, found.st_ino)
            if sweep is None or stamped != stamp or sweep.state in HELD:
                sweep = describe(SweepFolder(path))
                self._known[name] = (stamp, sweep)
            self._strange.discard(name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (PermissionError, ValueError) as error:
            if name not in self._strange:
                log.warning("sweep %s: its state cannot be read: %s", name, error)
            self._strange.add(name)
        return sweep
