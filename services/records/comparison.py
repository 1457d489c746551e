"""Sweeps side by side: what their specs say otherwise, and how they came out, pair by pair."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from contrasweep.services.records.answers import Compared, Comparison, Difference, Progress, Standing, Sweep
from contrasweep.services.records.final_report import Evaluation, read_report
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.leaderboard import competes, leaderboard, told
from contrasweep.services.records.trial_record import TrialRecord, finite, read_records
from contrasweep.services.spec.spec import SweepSpec

_ORDERED = ("data.image", "training.augmentations", "search.choices")
"""Mappings whose order counts."""
_WITHIN = tuple(
    f"data.{field}" for field in ("transforms", "dtype", "normalize", "feed", "train", "external", "max_rejected")
)
"""Fields of the data that leave validation and test split as they are."""


@dataclass(frozen=True)
class Side:
    """One of the sweeps.

    Attributes:
        state: says on which data it ran.
        records: by number.
        final: None before there is a final figure.
    """

    sweep: Sweep
    spec: SweepSpec
    state: SweepState
    records: Sequence[TrialRecord]
    final: Evaluation | None


def read_side(folder: SweepFolder, sweep: Sweep, storage: Path) -> Side:
    """What the sweep of `folder`, which stands as `sweep` says, has left; `storage` is its folder of checkpoints."""
    spec, final = folder.load().spec, read_report(folder.final) if folder.final.exists() else None
    sweep = sweep.model_copy(update={"final": final.told() if final else None})
    return Side(sweep, spec, folder.read_state(), read_records(storage, spec.plan), final)


def compare(sides: Sequence[Side]) -> Comparison:
    """The sweeps side by side, each against the first."""
    first, *others = sides
    compared = [_compared(first, None), *(_compared(side, first) for side in others)]
    return Comparison(fields=differing([side.spec for side in sides]), sweeps=compared)


def differing(specs: Sequence[SweepSpec]) -> dict[str, list[Any]]:
    """What specs say otherwise: by field a value of each spec in its turn, None where it has none."""
    documents = [spec.model_dump(mode="json") for spec in specs]
    said = [dict(_leaves(document)) for document in documents]
    fields = list(dict.fromkeys(field for one in said for field in one))
    found = {field: [one.get(field) for one in said] for field in fields}
    orders = {f"order of {field}": [_keys(document, field) for document in documents] for field in _ORDERED}
    apart = {field: values for field, values in found.items() if _differ(values) and not _inside(field, fields)}
    return apart | {field: keys for field, keys in orders.items() if _differ(keys) and not _differ(map(sorted, keys))}


def _leaves(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """What a document says, by dotted field; of a mapping without anything in it that it is empty."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{field}.{key}" if field else key)
    else:
        yield field, value


def _keys(document: Any, field: str) -> list[str]:
    section, name = field.split(".")
    mapping = document[section][name]
    return list(mapping) if isinstance(mapping, Mapping) else []


def _differ(values: Any) -> bool:
    first, *others = values
    return any(other != first for other in others)


def _inside(field: str, fields: Sequence[str]) -> bool:
    """Whether another spec says more under `field`: then it is told of there."""
    return any(other.startswith(f"{field}.") for other in fields)


def _compared(side: Side, first: Side | None) -> Compared:
    apart = _apart(side, first) if first else {}
    ranked, rivals = _ranked(side), _ranked(first) if first and "validation" not in apart else []
    rival = first.final if first else None
    methods = dict.fromkeys(record.configuration.method for record in ranked)
    trials = {trial.number: trial for trial in told(side.records)}

    def standing(own: Sequence[TrialRecord], others: Sequence[TrialRecord]) -> Standing:
        difference = between_runs(own[0], others[0]) if others else None
        return Standing(trial=trials[own[0].number], difference=difference)

    return Compared(
        sweep=side.sweep,
        best=standing(ranked, rivals) if ranked else None,
        methods={method: standing(_of(method, ranked), _of(method, rivals)) for method in methods},
        test=between_subjects(side.final, rival) if side.final and rival and "test" not in apart else None,
        apart=apart,
        progress=progress(side.records),
    )


def _ranked(side: Side) -> list[TrialRecord]:
    return leaderboard(record for record in side.records if not record.failure)


def _of(method: str, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.configuration.method == method]


def between_runs(one: TrialRecord, other: TrialRecord) -> Difference:
    """Objectives of `one` less those of `other`, as measured, over whole runs of the same seed and fold.

    Seeds that finalists alone ran are compared where both did, and else those of their races.
    """
    differences: list[float] = []
    for stage in (TrialRecord.as_reported, TrialRecord.as_judged, TrialRecord.as_raced):
        mine, theirs = stage(one).scores, stage(other).scores
        differences = differences or [mine[run] - theirs[run] for run in mine if run in theirs]
    return Difference(
        pairs=len(differences),
        mean=fmean(differences) if differences else None,
        sd=stdev(differences) if len(differences) > 1 else None,
    )


def between_subjects(one: Evaluation, other: Evaluation) -> Difference:
    """Absolute errors of `one` less those of `other`, of the same scans: their mean, with its 95 % subject bootstrap.

    A scan's error is that of the mean prediction over runs; each of a subject's scans counts.
    """
    from contrasweep.trainers.paired import (
        paired_difference,
    )  # looking at what has no final figure shall not wait for it

    mine, theirs = _errors(one), _errors(other)
    found = paired_difference(list(mine.values()), [theirs[scan] for scan in mine], one.subjects)
    return Difference(pairs=one.n_subjects, mean=found.value, low=found.low, high=found.high)


def _errors(evaluated: Evaluation) -> dict[str, float]:
    """Each scan's absolute error, of the mean prediction over runs."""
    told = zip(evaluated.scans, evaluated.labels, evaluated.mean_prediction.tolist(), strict=True)
    return {scan: abs(predicted - label) for scan, label, predicted in told}


def progress(records: Sequence[TrialRecord]) -> Progress:
    """How a search went on, by records in the order of their numbers."""
    raced = [record.as_raced() for record in records]
    epochs = accumulate(sum(record.told().epochs.values()) for record in raced)
    best = accumulate((record.objective if competes(record) else inf for record in raced), min)
    turned = (record.plan.objective.turned(value) for record, value in zip(raced, best, strict=True))
    return Progress(epochs=list(epochs), best=[finite(value) for value in turned])


def _apart(side: Side, first: Side) -> dict[str, str]:
    """Why validation runs and final figures cannot be paired, where they cannot."""
    labels = [one.spec.data.label for one in (first, side)]
    if _differ(labels):
        return dict.fromkeys(("validation", "test"), f"other label: {labels[0]} and {labels[1]}")
    validation = _other_objective(side, first) or _other_split(side, first)
    reasons = {"validation": validation, "test": _other_test(side, first)}
    return {what: why for what, why in reasons.items() if why}


def _other_objective(side: Side, first: Side) -> str:
    """Why what configurations are compared by is not the same figure."""
    before, now = (one.spec.plan.objective.title for one in (first, side))
    return f"other objective: {before} and {now}" if before != now else ""


def _other_split(side: Side, first: Side) -> str:
    """Why the validation scans are not the same.

    Those trained on are the same in one split, but where `data.train` differs: there the specs alone can say.
    """
    began, now = first.state.training, side.state.training
    if began == now != "":
        return ""
    fields = [field for field in differing([first.spec, side.spec]) if field.startswith("data.")]
    deciding = [field for field in fields if not field.startswith(_WITHIN)]
    if deciding:
        return f"other split: {', '.join(deciding)}"
    trains = any(field.startswith("data.train") for field in fields)
    return "" if trains or not (began and now) else "other split: the table or the images have changed"


def _other_test(side: Side, first: Side) -> str:
    """Why the final figures are not of the same scans."""
    for one in (first, side):
        if one.final is None:
            return f"{one.sweep.id} has no final figure yet"
    assert first.final and side.final
    before, now = (dict(zip(final.scans, final.labels, strict=True)) for final in (first.final, side.final))
    both = before.keys() & now.keys()
    if len(both) < max(len(before), len(now)):
        return f"other test split: of {len(before)} and {len(now)} scans {len(both)} are in both"
    return "" if before == now else "other labels of the same test scans"
