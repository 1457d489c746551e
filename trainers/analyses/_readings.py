"""Which of a sweep's readings an analysis looks at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.analyses.base import Evidence, Reading
from contrasweep.trainers.errors import UserError, nearest

FloatArray = NDArray[np.float64]
Space: TypeAlias = Literal["encoder", "projection"]
Run: TypeAlias = tuple[int, int | None]
"""Seed and fold."""
MOST = 2000
"""Scans that are looked at in pairs, or shown on a map."""


def predictions(
    evidence: Evidence, features: Space | None = None, probe: str | None = None
) -> dict[str, dict[Run, FloatArray]]:
    """What each run of each configuration predicts [n] at the epoch that counts, from `features` and by `probe`.

    Where these are None it is the reading that configurations are judged by. Raises UserError where a configuration
    has none.
    """
    found = _by_run(
        reading
        for reading in evidence.predictions
        if reading.epoch == 0 and features in (None, reading.features) and probe in (None, reading.probe)
    )
    asked = _field(probes=probe, features=features)
    _check(evidence, found, f"what it predicts for the test split was not read; a spec with `{asked}` has it read")
    return {
        point: {run: evidence.predictions[readings[0]] for run, readings in found[point].items()}
        for point in evidence.points
    }


def errors(
    evidence: Evidence, features: Space | None = None, probe: str | None = None
) -> dict[str, dict[Run, FloatArray]]:
    """The absolute errors [n] of `predictions`."""
    return {
        point: {run: np.abs(said - evidence.labels) for run, said in runs.items()}
        for point, runs in predictions(evidence, features, probe).items()
    }


def embeddings(evidence: Evidence, features: Space | None = None) -> dict[str, dict[Run, Reading]]:
    """Each run's reading of its features at the epoch that counts, as `predictions` chooses; the same is raised."""
    found = _by_run(
        reading for reading in evidence.embeddings if reading.epoch == 0 and features in (None, reading.features)
    )
    asked = _field(features=features or "projection")
    _check(evidence, found, f"its features of the test split were not kept; a spec with `{asked}` keeps them")
    return {point: {run: readings[0] for run, readings in found[point].items()} for point in evidence.points}


def embeddings_by_epoch(evidence: Evidence, features: Space | None = None) -> dict[str, dict[Run, list[Reading]]]:
    """Each run's readings of its features after single epochs, in their order; as `predictions` chooses and raises."""
    found = _by_run(
        reading for reading in evidence.embeddings if reading.epoch > 0 and features in (None, reading.features)
    )
    asked = _field(epochs="1, 10, 50", features=features)
    _check(evidence, found, f"its features after single epochs were not kept; a spec with `{asked}` keeps them")
    return {
        point: {run: _of_first_space(readings) for run, readings in found[point].items()} for point in evidence.points
    }


def by_point_and_seed(values: Mapping[str, Mapping[Run, float]]) -> dict[tuple[str, int], float]:
    """The mean over the folds of each seed of each configuration: what it may be ordered by."""
    folds: dict[tuple[str, int], list[float]] = defaultdict(list)
    for name, runs in values.items():
        for (seed, _), value in runs.items():
            folds[name, seed].append(value)
    return {of: float(np.mean(some)) for of, some in folds.items()}


def folds_of(runs: Iterable[Run]) -> int:
    """In how many folds the runs are; 0 where there are none."""
    return len({fold for _, fold in runs if fold is not None})


def column(evidence: Evidence, name: str) -> Sequence[str]:
    """The cells [n] of a column. Raises UserError where the table has no such column."""
    if name not in evidence.columns:
        raise UserError(f"column '{name}' is not in the table of participants; {nearest(name, evidence.columns)}")
    return evidence.columns[name]


def point(evidence: Evidence, name: str | None, others: Iterable[str] = ()) -> str:
    """`name`, or the first configuration. Raises UserError, which allows `others`, too, where none has that name."""
    if name is not None and name not in evidence.points:
        raise UserError(f"no configuration is called '{name}'; {nearest(name, (*evidence.points, *others))}")
    return next(iter(evidence.points)) if name is None else name


def chosen_rows(evidence: Evidence, most: int = MOST) -> NDArray[np.int64]:
    """The rows of the scans, at most `most` of them, the same each time."""
    count = len(evidence.scans)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def _by_run(readings: Iterable[Reading]) -> dict[str, dict[Run, list[Reading]]]:
    found: dict[str, dict[Run, list[Reading]]] = defaultdict(lambda: defaultdict(list))
    for reading in readings:
        found[reading.point][reading.seed, reading.fold].append(reading)
    return found


def _of_first_space(readings: Sequence[Reading]) -> list[Reading]:
    own = [reading for reading in readings if reading.features == readings[0].features]
    return sorted(own, key=lambda reading: reading.epoch)


def _check(evidence: Evidence, found: Mapping[str, object], complaint: str) -> None:
    for name in evidence.points:
        if name not in found:
            raise UserError(f"configuration '{name}': {complaint}")


def _field(**asked: str | None) -> str:
    """The field of a spec in which that is asked for."""
    return f"read: {{{', '.join(f'{name}: [{value}]' for name, value in asked.items() if value)}}}"
