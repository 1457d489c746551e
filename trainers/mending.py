"""What becomes of a run whose files are damaged: it goes on from what is sound, or begins anew, to the same end."""

import logging
from pathlib import Path

from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import weights_file
from contrasweep.trainers.errors import Damaged
from contrasweep.trainers.history import COMPLETE, HISTORY, History

log = logging.getLogger("contrasweep.trial")


def mend(folder: Path) -> None:
    """Remove damaged checkpoints of a run and of the stages before it, each with a line in the log.

    A stage goes on from its last checkpoint, or from the one before that; with neither, or where weights that it kept
    are damaged, it begins anew.
    """
    for stage in (folder, *sorted({path.parent for path in folder.glob("*/**/*.pt")})):
        damaged = [error for path in sorted(stage.glob("*.pt")) if (error := _damage(path))]
        if any(error.path.name not in (checkpoint.LATEST, checkpoint.PREVIOUS) for error in damaged):
            begin_anew(stage)
        for error in damaged:
            error.path.unlink(missing_ok=True)
        for error in damaged:
            log.warning("%s; %s", error, _outlook(stage))


def begin_anew(folder: Path) -> None:
    """Remove checkpoints, weights and history of a run, but for those of the stages before it."""
    for path in (*folder.glob("*.pt"), folder / HISTORY):
        path.unlink(missing_ok=True)


def recall(folder: Path) -> History | None:
    """The history of a run, out of its last sound checkpoint where `history.json` is damaged or gone; written, then."""
    known = History.read(folder)
    if known is None and (saved := checkpoint.last(folder)):
        known = History(**checkpoint.load(saved)["history"])
        known.write(folder)
    return known


def _damage(path: Path) -> Damaged | None:
    try:
        checkpoint.check(path)
    except Damaged as error:
        return error
    return None


def _outlook(stage: Path) -> str:
    """What becomes of a run by what is left of it."""
    history = History.read(stage)
    if history and history.state == COMPLETE and (stage / weights_file(0)).exists():
        return "the run is whole without it"
    return "it goes on from the one before" if checkpoint.last(stage) else "its seed is trained anew"
