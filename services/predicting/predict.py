"""Scans -> what a model says of each: prepared in parallel where there are many, predicted one by one."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from services.cluster.parallel import parallel
from services.predicting.answers import Predicted
from trainers.data.participants import Rejected, Subject
from trainers.data.readers import UnreadableError
from trainers.data.volume import Scan
from trainers.served import Preparation, ServedModel

FEW = 8
"""So many scans are prepared in this process: others take longer to start."""
_AT_ONCE = 64
"""Prepared scans that are in memory."""


def predict(
    folder: Path, model: ServedModel, scans: Sequence[Subject], progress: Callable[[int, int], None]
) -> Iterator[Predicted | Rejected]:
    """What the model in `folder` says of each scan, or why that cannot be used, in the order of `scans`."""
    for done, (scan, prepared) in enumerate(_all_prepared(folder, scans), start=1):
        yield Rejected.of(scan, prepared) if isinstance(prepared, str) else _said(scan, prepared, model)
        progress(done, len(scans))


def _all_prepared(folder: Path, scans: Sequence[Subject]) -> Iterator[tuple[Subject, Scan | str]]:
    """Each scan prepared, or why it cannot be."""
    for first in range(0, len(scans), _AT_ONCE):
        part = scans[first : first + _AT_ONCE]
        tasks = [(folder, scan) for scan in part]
        yield from zip(part, map(_prepared, tasks) if len(scans) <= FEW else parallel(_prepared, tasks), strict=True)


def _said(scan: Subject, prepared: Scan, model: ServedModel) -> Predicted:
    said, calibration = model.predict(prepared, scan.covariates), model.preparation.config.calibration
    by_line = by_bands = None
    if calibration is not None and scan.label is not None:
        by_line, by_bands = calibration.corrected(said.prediction, scan.label)
    return Predicted(
        scan=scan.id,
        paths=tuple(map(str, scan.paths)),
        prediction=said.prediction,
        sd=said.sd,
        label=scan.label,
        low=said.interval and said.interval[0],
        high=said.interval and said.interval[1],
        gap=None if scan.label is None else said.prediction - scan.label,
        gap_corrected=by_line,
        gap_corrected_by_bands=by_bands,
        unlike=said.unlike,
    )


def _prepared(item: tuple[Path, Subject]) -> Scan | str:
    """Task: a prepared scan, or why it cannot be used."""
    folder, scan = item
    try:
        return _preparation(folder).of(scan)
    except (UnreadableError, OSError, MemoryError) as error:
        return " ".join(str(error).split()) or type(error).__name__


@lru_cache(maxsize=1)
def _preparation(folder: Path) -> Preparation:
    return Preparation.load(folder)
