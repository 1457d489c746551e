"""Writes what configurations leave in the storage path, as if they had run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search_spaces import Configuration, Value
from services.records.trial_record import seed_folder, trial_folder, write_configuration
from services.spec.spec import SweepSpec
from trainers.history import COMPLETE, RUNNING, EpochMetrics, History

EPOCHS = 4


def rows(values: Sequence[float], first: int = 0) -> list[EpochMetrics]:
    """An epoch for each validation MAE."""
    return [{"epoch": first + i, "loss": 1.0, "validation_mae": value} for i, value in enumerate(values)]


def history(values: Sequence[float], *, seed: int = 0, state: str = "", reason: str = "") -> History:
    """A seed with these validation MAEs; complete where it has all its epochs, if nothing else is said."""
    reached = COMPLETE if len(values) >= EPOCHS else RUNNING
    return History(seed, state or reached, reason, rows(values))


def leave(
    sweep: Path,
    number: int,
    seeds: Mapping[int, Sequence[float]],
    *,
    method: str = "dynlocrep",
    params: Mapping[str, Value] | None = None,
    failure: str = "",
    state: str = "",
    reason: str = "",
    planned: Sequence[int] | None = None,
) -> None:
    """A configuration's folder: the validation MAEs of each of its seeds; `state` and `reason` are of the last one.

    Without `planned` it does not say which seeds it is to run, as before sweeps could be extended.
    """
    write_configuration(sweep, number, Configuration(method, dict(params or {})), planned or (), failure)
    if planned is None:
        path = trial_folder(sweep, number) / "trial.json"
        path.write_text(json.dumps({key: of for key, of in json.loads(path.read_text()).items() if key != "seeds"}))
    for seed, values in seeds.items():
        history(values, seed=seed).write(seed_folder(sweep, number, seed))
    if seeds and state:
        last, values = list(seeds.items())[-1]
        history(values, seed=last, state=state, reason=reason).write(seed_folder(sweep, number, last))


def spec(
    *, spaces: Sequence[str] = ("dynlocrep",), training: Mapping[str, Any] | None = None, **search: Any
) -> SweepSpec:
    """A small spec of EPOCHS epochs."""
    return SweepSpec.model_validate(
        {
            "name": "study",
            "data": {"participants": "participants.tsv", "image": "{participant_id}.png", "label": "age"},
            "training": {"epochs": EPOCHS, "batch_size": 16, **(training or {})},
            "search": {"spaces": spaces, "racing": None, **search},
        }
    )
