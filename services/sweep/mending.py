"""What a driver does first in a sweep's folders: what killed writers left is removed, and what is damaged is mended."""

import logging
import re
from pathlib import Path

import psutil

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import remove_damaged
from contrasweep.trainers import checkpoint, mending
from contrasweep.trainers.atomic import PARTIAL, remove
from contrasweep.trainers.history import HISTORY, History

log = logging.getLogger("contrasweep.sweep")


def mend(folder: SweepFolder, storage: Path) -> None:
    """Make both folders of a sweep, which this process drives, such that it can go on; what was damaged is said.

    Checkpoints are looked at once a run needs them. `storage` is the sweep's folder of them.
    """
    for path in (*remove_partial(folder.path), *remove_partial(storage)):
        log.info("removed %s, which a writer that was killed left", path)
    for line in remove_damaged(storage):
        log.warning(line)
    for run in sorted(storage.glob("trial-*/*seed-*")):
        if History.read(run) is None:
            _mend_history(run)


def remove_partial(folder: Path) -> list[Path]:
    """Remove the partial files and folders below `folder` whose writers do not live any more; which these were."""
    found = [path for path in folder.rglob(".*") if (named := PARTIAL.fullmatch(path.name)) and _is_left(path, named)]
    for path in found:
        remove(path)
    return found


def _is_left(path: Path, named: re.Match[str]) -> bool:
    """Whether the process that a partial file is named by has ended, or is another one that began after that."""
    try:
        return bool(psutil.Process(int(named["first"] or named["last"])).create_time() > path.stat().st_mtime)
    except psutil.NoSuchProcess:
        return True
    except (FileNotFoundError, OverflowError, psutil.AccessDenied):
        return False


def _mend_history(run: Path) -> None:
    path = run / HISTORY
    if not path.exists() and checkpoint.last(run) is None:
        return
    mending.mend(run)
    known = mending.recall(run)
    what = "its last checkpoint has it" if known else "its seed is trained anew"
    log.warning("%s is damaged or gone; %s", path, what)
    if known is None:
        path.unlink(missing_ok=True)
