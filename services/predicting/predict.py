"""Scans -> what a model says of each: prepared in parallel where there are many, predicted one by one."""

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


def predict(
    folder: Path,
    model: ServedModel,
    scans: Sequence[Subject],
    progress: Callable[[int, int], None],
    maps: Maps | None = None,
    features: bool = False,
) -> Iterator[Said | Rejected]:
    """What the model in `folder` says of each scan, or why that cannot be used, in the order of `scans`.

    Where `maps` are wanted, one is written of each scan. Embeddings are large, and kept where `features` are wanted.
    """
    for done, (scan, prepared) in enumerate(_all_prepared(folder, scans), start=1):
        if isinstance(prepared, str):
            yield Rejected.of(scan, prepared)
        else:
            if maps is not None:
                maps.write(scan, prepared)
            said = model.predict(prepared, scan.covariates)
            yield Said(scan, said if features else replace(said, features={}))
        progress(done, len(scans))


def _all_prepared(folder: Path, scans: Sequence[Subject]) -> Iterator[tuple[Subject, Scan | str]]:
    """Each scan prepared, or why it cannot be."""
    for first in range(0, len(scans), _AT_ONCE):
        part = scans[first : first + _AT_ONCE]
        tasks = [(folder, scan) for scan in part]
        yield from zip(part, map(_prepared, tasks) if len(scans) <= FEW else parallel(_prepared, tasks), strict=True)


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
