"""Writes what configurations leave in the storage path, as if they had run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from contrasweep.search_spaces import Configuration, Value
from contrasweep.services.records.trial_record import run_folder, trial_folder, write_configuration
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan, SweepSpec
from contrasweep.trainers.history import COMPLETE, RUNNING, EpochMetrics, History

EPOCHS = 4
Of = TypeVar("Of")


def by_seed(values: Mapping[int, Of]) -> dict[Replicate, Of]:
    """What runs of a split without folds came to, by their seeds."""
    return {Replicate(seed): value for seed, value in values.items()}


def rows(
    values: Sequence[float], first: int = 0, *, objective: str = "mae", also: EpochMetrics | None = None
) -> list[EpochMetrics]:
    """An epoch for each validation MAE, or for each of another objective; all have the metrics of `also`, too."""
    key = f"validation_{objective}"
    return [{"epoch": first + i, "loss": 1.0, key: value, **(also or {})} for i, value in enumerate(values)]


def history(
    values: Sequence[float],
    *,
    seed: int = 0,
    state: str = "",
    reason: str = "",
    objective: str = "mae",
    also: EpochMetrics | None = None,
) -> History:
    """A seed with these validation MAEs; complete where it has all its epochs, if nothing else is said."""
    reached = COMPLETE if len(values) >= EPOCHS else RUNNING
    epochs = rows(values, objective=objective, also=also)
    return History(seed, state or reached, reason, epochs, objective=objective)


def leave(
    sweep: Path,
    number: int,
    runs: Mapping[int, Sequence[float]] | Mapping[Replicate, Sequence[float]],
    *,
    method: str = "dynlocrep",
    params: Mapping[str, Value] | None = None,
    training: Mapping[str, Value] | None = None,
    choices: Mapping[str, str] | None = None,
    start: str | None = None,
    failure: str = "",
    state: str = "",
    reason: str = "",
    planned: Sequence[int] | None = None,
    objective: str = "mae",
    also: EpochMetrics | None = None,
) -> None:
    """A configuration's folder: validation MAEs by its runs or seeds; `state` and `reason` are of the last.

    Or figures of another `objective`; metrics of `also` are in each epoch beside them.
    Without `planned` it does not say which seeds it is to run, nor for how long, as before sweeps could be extended.
    """
    configuration = Configuration(method, dict(params or {}), dict(training or {}), dict(choices or {}), start)
    write_configuration(sweep, number, configuration, SeedPlan(tuple(planned or ()), EPOCHS), failure)
    if planned is None:
        path = trial_folder(sweep, number) / "trial.json"
        path.write_text(
            json.dumps(
                {key: of for key, of in json.loads(path.read_text()).items() if key not in ("seeds", "folds", "epochs")}
            )
        )
    told = [(run if isinstance(run, Replicate) else Replicate(run), values) for run, values in runs.items()]
    for place, (run, values) in enumerate(told, start=1):
        ended = {"state": state, "reason": reason} if state and place == len(told) else {}
        one = history(values, seed=run.seed, objective=objective, also=also, **ended)
        one.write(run_folder(sweep, number, run))


def spec(
    *,
    spaces: Sequence[str] = ("dynlocrep",),
    training: Mapping[str, Any] | None = None,
    group: str | None = None,
    **search: Any,
) -> SweepSpec:
    """A small spec of EPOCHS epochs."""
    return SweepSpec.model_validate(
        {
            "name": "study",
            "data": {
                "participants": "participants.tsv",
                "image": "{participant_id}.png",
                "label": "age",
                "group": group,
            },
            "training": {"epochs": EPOCHS, "batch_size": 16, **(training or {})},
            "search": {"spaces": spaces, "racing": None, **search},
        }
    )
