"""What a sweep learns from earlier ones: what their configurations came to, written down when it begins."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from contrasweep.search_spaces import TRAINING, Configuration
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.leaderboard import competes
from contrasweep.services.records.parameters import from_json, to_json
from contrasweep.services.records.trial_record import TrialRecord, read_records
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.sweep.sampling import told
from contrasweep.trainers import losses
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.errors import UserError

WHERE = "search.learn_from"


@dataclass(frozen=True)
class Learned:
    """What a configuration of an earlier sweep came to.

    Attributes:
        sweep: the earlier one's id.
        configuration: with each field of its training that could be searched.
        values: the objectives as measured.
        excess: by which share each figure that is bounded now is above its bound, or, below 0, under it.
    """

    sweep: str
    configuration: Configuration
    values: tuple[float, ...]
    excess: Mapping[str, float] = field(default_factory=dict)


def learn(spec: SweepSpec, settings: Settings, storage: Path) -> list[Learned]:
    """As `recall`, and written down, so that the sweep in `storage` goes on from the same."""
    learned, path = recall(spec, settings, storage), _path(storage)
    if learned and _kept(path) is None:
        write_atomically(path, json.dumps(list(map(_to_json, learned)), indent=1, allow_nan=False).encode())
    return learned


def recall(spec: SweepSpec, settings: Settings, storage: Path) -> list[Learned]:
    """What the sweeps of `search.learn_from` had come to when the sweep in `storage` began, or now if it has not.

    Of each sweep that is every complete configuration as its race left it, where what `spec` does not search is as
    `spec` has it, and what it bounds was measured and breaks no bound.
    Raises UserError where one is no sweep, is of another name, has other objectives, or has nothing to learn from.
    """
    kept = _kept(_path(storage)) if spec.search.learn_from else None
    if kept is not None:
        return kept
    return [one for sweep_id in spec.search.learn_from for one in _of_sweep(sweep_id, spec, settings)]


def _path(storage: Path) -> Path:
    return storage / "learned.json"


def _kept(path: Path) -> list[Learned] | None:
    """What was written down; None where it was not, or is damaged."""
    try:
        return list(map(_from_json, json.loads(path.read_bytes())))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _of_sweep(sweep_id: str, spec: SweepSpec, settings: Settings) -> list[Learned]:
    earlier = _find(sweep_id, spec, settings)
    plan = replace(earlier.plan, bounds=spec.plan.bounds)
    records = map(TrialRecord.as_raced, read_records(Path(settings.storage_path) / sweep_id, plan))
    whole = [record for record in records if competes(record) and _is_measured(record)]
    found = [_learned(sweep_id, one, earlier) for one in whole if _is_open_to(spec, one.configuration, earlier)]
    if not found:
        raise UserError(f"{WHERE}: {sweep_id} is not allowed: it has no complete configuration that could be tried now")
    return found


def _find(sweep_id: str, spec: SweepSpec, settings: Settings) -> SweepSpec:
    """The spec of an earlier sweep, by its whole id: the beginning of one may be that of this sweep, too."""
    try:
        folder = SweepFolder.find_whole(settings, sweep_id)
        earlier = folder.load().spec
    except UserError as error:
        raise UserError(f"{WHERE}: {error}") from error
    if folder.sweep_id != sweep_id:
        raise UserError(f"{WHERE}: '{sweep_id}' is not allowed: must be a whole id; did you mean '{folder.sweep_id}'?")
    if earlier.name != spec.name:
        raise UserError(f"{WHERE}: {sweep_id} is not allowed: it is a sweep of '{earlier.name}', not of '{spec.name}'")
    if earlier.search.objective != spec.search.objective:
        theirs, own = (", ".join(one.search.objective) for one in (earlier, spec))
        raise UserError(f"{WHERE}: {sweep_id} is not allowed: its objective is {theirs}, not {own}")
    return earlier


def _is_measured(record: TrialRecord) -> bool:
    return record.costs.keys() == record.plan.bounds.keys() and all(map(math.isfinite, record.ranked))


def _is_open_to(spec: SweepSpec, configuration: Configuration, earlier: SweepSpec) -> bool:
    """Whether it starts from no other, its options mean the same in `spec`, and what was searched of its training and
    is not now is the same.
    """
    axes, before = spec.search.choices, earlier.search.choices
    if configuration.start or any(
        axes.get(axis, {}).get(option) != before[axis][option] for axis, option in configuration.choices.items()
    ):
        return False
    chosen = spec.choosing(configuration.choices)
    asked = {*chosen.ranges, *spec.search.fix}
    settled = {name: value for name, value in configuration.training.items() if f"training.{name}" not in asked}
    return settled.items() <= chosen.training.model_dump().items()


def _learned(sweep_id: str, record: TrialRecord, earlier: SweepSpec) -> Learned:
    own = record.configuration
    stood = earlier.choosing(own.choices).training.model_dump(include={*TRAINING})
    params = {**losses.parameters(own.method), **own.params}  # an earlier version knew of fewer
    whole = replace(own, params=params, training={**stood, **own.training})
    return Learned(sweep_id, whole, tuple(record.objectives.values()), told(record).excess)


def _to_json(learned: Learned) -> dict[str, Any]:
    own = asdict(learned.configuration)
    return {
        "sweep": learned.sweep,
        "configuration": own | {part: to_json(own[part]) for part in ("params", "training")},
        "values": learned.values,
        "excess": dict(learned.excess),
    }


def _from_json(kept: Mapping[str, Any]) -> Learned:
    own = kept["configuration"]
    configuration = Configuration(**own | {part: from_json(own[part]) for part in ("params", "training")})
    return Learned(kept["sweep"], configuration, tuple(kept["values"]), kept["excess"])
