"""Scans -> what a model says of each: here, those of many are prepared in parallel, and all predicted one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from contrasweep.services.cluster.parallel import parallel
from contrasweep.services.predicting.saliency import Maps
from contrasweep.trainers.data.participants import Rejected, Subject
from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.volume import Scan
from contrasweep.trainers.served import Prediction, Preparation, ServedConfig, ServedModel

FEW = 8
"""So many scans are prepared in this process: others take longer to start."""
_AT_ONCE = 64
"""Prepared scans that are in memory."""


@dataclass(frozen=True)
class Said:
    """A scan, and what a model says of it."""

    scan: Subject
    prediction: Prediction


@dataclass(frozen=True)
class Found:
    """What a model says of all scans that it was asked about, and which of them cannot be used."""

    config: ServedConfig
    said: tuple[Said, ...]
    rejected: tuple[Rejected, ...]

    @property
    def model(self) -> str:
        """Where the model comes from."""
        return self.config.origin


Answers = Iterator[Prediction | str]
"""What a model says of scans in their order, or why one cannot be used."""


def predict(
    scans: Sequence[Subject], answers: Answers, progress: Callable[[int, int], None], features: bool = False
) -> Iterator[Said | Rejected]:
    """Each scan with its answer. Embeddings are large, and kept where `features` are wanted."""
    for done, (scan, answer) in enumerate(zip(scans, answers, strict=True), start=1):
        if isinstance(answer, str):
            yield Rejected.of(scan, answer)
        else:
            yield Said(scan, answer if features else replace(answer, features={}))
        progress(done, len(scans))


def predict_here(folder: Path, model: ServedModel, scans: Sequence[Subject], maps: Maps | None = None) -> Answers:
    """The answers of the model in `folder`, on this machine; where `maps` are wanted, one is written of each scan."""
    for scan, prepared in _all_prepared(folder, scans):
        if isinstance(prepared, str):
            yield prepared
        else:
            if maps is not None:
                maps.write(scan, prepared)
            yield model.predict(prepared, scan.covariates)


def prepare(preparation: Preparation, scan: Subject) -> Scan | str:
    """A prepared scan, or why it cannot be used."""
    try:
        return preparation.of(scan)
    except (UnreadableError, OSError, MemoryError) as error:
        return " ".join(str(error).split()) or type(error).__name__


def _all_prepared(folder: Path, scans: Sequence[Subject]) -> Iterator[tuple[Subject, Scan | str]]:
    """Each scan prepared, or why it cannot be."""
    for first in range(0, len(scans), _AT_ONCE):
        part = scans[first : first + _AT_ONCE]
        tasks = [(folder, scan) for scan in part]
        yield from zip(part, map(_prepared, tasks) if len(scans) <= FEW else parallel(_prepared, tasks), strict=True)


def _prepared(item: tuple[Path, Subject]) -> Scan | str:
    """Task: a prepared scan, or why it cannot be used."""
    folder, scan = item
    return prepare(_preparation(folder), scan)


@lru_cache(maxsize=1)
def _preparation(folder: Path) -> Preparation:
    return Preparation.load(folder)
