"""What the sweeps' folders say, read again only where something changed."""

import os
from pathlib import Path

from services.answers import Sweep
from services.folder import SweepFolder
from services.local import describe
from services.service.queue import HELD

_Stamp = tuple[int, int]


class Folders:
    """The folders in `sweeps`; a thousand that rest cost one look at each state file's date. Raises OSError."""

    def __init__(self, sweeps: Path) -> None:
        self._sweeps = sweeps
        self._known: dict[str, tuple[_Stamp, Sweep]] = {}

    def look(self) -> dict[str, Sweep]:
        """How each folder describes itself, by sweep id; those without a state yet are left out."""
        if not self._sweeps.exists():
            return {}
        with os.scandir(self._sweeps) as found:
            names = [entry.name for entry in found]
        seen = {name: described for name in names if (described := self._describe(name))}
        self._known = {name: self._known[name] for name in seen}
        return seen

    def _describe(self, name: str) -> Sweep | None:
        path = self._sweeps / name
        try:
            found = os.stat(path / "state.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        stamped, sweep = self._known.get(name, (None, None))
        if sweep is None or stamped != stamp or sweep.state in HELD:
            sweep = describe(SweepFolder(path))
            self._known[name] = (stamp, sweep)
        return sweep
