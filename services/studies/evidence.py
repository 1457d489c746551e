"""What a finished sweep left, as analyses are given it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from upath import UPath

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.final_report import FinalReport, read_report
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.parquet import EVALUATE_AGAIN, read_parquet
from contrasweep.services.records.readings import EMBEDDINGS, SCANS, read_readings
from contrasweep.services.records.tested import TESTED
from contrasweep.services.records.trial_record import TrialRecord, read_records
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import REFIT, replicate_named
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.trainers import losses
from contrasweep.trainers.analyses import Evidence, Reading
from contrasweep.trainers.config import DataConfig, finetuning, words_of
from contrasweep.trainers.data.participants import outside_training, read_subjects
from contrasweep.trainers.data.splits import store_splits
from contrasweep.trainers.data.store import StoredSubject, VolumeStore
from contrasweep.trainers.data.training import training_split
from contrasweep.trainers.errors import Damaged, UserError
from contrasweep.trainers.readings import HEAD

_TEST = "test"
_PATCHED = ("data", "model", "training")
_NULL = {"noise": 0.0}
"""Numbers that fields which say nothing come to."""


def read_evidence(settings: Settings, folder: SweepFolder) -> Evidence:
    """The evidence of a sweep's complete configurations, which have their points' names, or else `METHOD trial N`.

    Labels that were trained on, their number of people, which is each configuration's value `people`, and columns are
    of the volume store; where that is gone there are none.
    Raises UserError where the sweep has no test predictions.
    """
    final, spec = final_of(folder), folder.load().spec
    records = read_records(Path(settings.storage_path) / folder.sweep_id, spec.plan_over(folder.read_state().folds))
    named = {record.number: record for record in records if record.state == "complete"}
    points = {number: point_name(spec, record) for number, record in named.items()}
    read = _Files(folder.final, final.scans, points, {n: judged(spec, r.configuration) for n, r in named.items()})
    store, base = _store(settings, folder), folder.load().base
    return Evidence(
        label=spec.data.label,
        unit=spec.data.unit_or_label,
        points={points[number]: record.configuration.method for number, record in named.items()},
        values={points[n]: _values(spec, r.configuration) | _people(store, spec, base, r) for n, r in named.items()},
        scans=final.scans,
        subjects=final.subjects,
        labels=np.array(final.labels),
        columns=_columns(store, final.scans) if store else {},
        train_labels=np.array([scan.label for scan in trained_on(store, spec.data, base)], np.float64),
        predictions=read.predictions(),
        embeddings=read.embeddings(),
        baselines={one.title: np.array(one.predictions) for one in final.baselines_said().values()},
    )


def point_name(spec: SweepSpec, record: TrialRecord) -> str:
    """What a configuration is called: points are the first ones, in their order."""
    if record.number < len(spec.search.points):
        return spec.search.points[record.number].name
    return f"{record.configuration.method} trial {record.number}"


def judged(spec: SweepSpec, configuration: Configuration) -> tuple[str, str]:
    """The features that a configuration is judged by, and the probe in words."""
    chosen = spec.choosing(configuration.choices)
    tune = finetuning(chosen.probe)
    method, params = (tune.method, tune.params) if tune else (configuration.method, configuration.params)
    loss = losses.build_decided(method, params, max_epochs=chosen.judged_epochs)
    return loss.space(chosen.model), HEAD if loss.end_to_end else words_of(chosen.probe)


def final_of(folder: SweepFolder) -> FinalReport:
    """A sweep's final figure. Raises UserError where it has none, or no test predictions beside it."""
    if not folder.final.exists() or not folder.final.with_name(TESTED).exists():
        state = folder.read_state().state
        raise UserError(f"sweep {folder.sweep_id} has no test predictions: it is {state}")
    report = read_report(folder.final)
    if not isinstance(report, FinalReport):
        raise UserError(f"sweep {folder.sweep_id} has outer folds; name one of its searches: {folder.sweep_id}.0")
    return report


@dataclass(frozen=True)
class _Files:
    """The files beside `final`, of test scans in the order of `scans`, by the names of configurations."""

    final: Path
    scans: Sequence[str]
    points: Mapping[int, str]
    judged: Mapping[int, tuple[str, str]]

    def predictions(self) -> dict[Reading, NDArray[np.float64]]:
        """Every reading's predictions [n], the judged ones first, which are there whatever was read beside them."""
        own = read_parquet(self.final.with_name(TESTED)).to_pandas()
        judged = [self.judged.get(trial, ("", "")) for trial in own["trial"]]
        features, probes = zip(*judged, strict=True) if judged else ((), ())
        own = own.assign(epoch=0, features=features, probe=probes)
        more = read_readings(self.final).to_pandas()
        both = pd.concat([own, more[more["split"] == _TEST]], ignore_index=True)
        keys = ["trial", "run", "epoch", "features", "probe"]
        found = {}
        for (trial, run, epoch, space, probe), rows in both.groupby(keys, sort=False):
            if trial in self.points and replicate_named(run).fold != REFIT:
                of_scan = rows.drop_duplicates("scan").set_index("scan")["prediction"]
                found[self._reading(trial, run, epoch, space, probe)] = of_scan.loc[list(self.scans)].to_numpy()
        return found

    def embeddings(self) -> "Mapping[Reading, NDArray[np.float32]]":
        """Features [n, F] by reading, those that are judged first."""
        folder = self.final.with_name(EMBEDDINGS)
        if not (folder / SCANS).exists():
            return {}
        ids = (folder / SCANS).read_text().splitlines()
        place = {scan: row for row, scan in enumerate(ids)}
        rows = [place[scan] for scan in self.scans]
        found = {}
        parts = sorted((*_parts(path.stem), path) for path in folder.glob("*.npy"))
        for trial, run, epoch, space, path in sorted(parts, key=self._is_another):
            if trial in self.points:
                found[self._reading(trial, run, epoch, space, "")] = _Loaded(path, rows, len(ids))
        return Lazily(found)

    def _is_another(self, file: tuple[int, str, int, str, Path]) -> bool:
        """Whether features are of another space than the judged ones."""
        trial, _, _, space, _ = file
        return space != self.judged.get(trial, ("", ""))[0]

    def _reading(self, trial: int, run: str, epoch: int, space: str, probe: str) -> Reading:
        replicate = replicate_named(run)
        fold = replicate.fold if isinstance(replicate.fold, int) else None
        return Reading(self.points[trial], replicate.seed, fold, int(epoch), space, probe)


def _parts(stem: str) -> tuple[int, str, int, str]:
    """Trial, run, epoch and space of a file of features.

    >>> _parts("3-fold-1-seed-0-6-encoder")
    (3, 'fold-1-seed-0', 6, 'encoder')
    """
    trial, _, rest = stem.partition("-")
    run, epoch, space = rest.rsplit("-", 2)
    return int(trial), run, int(epoch), space


@dataclass(frozen=True)
class _Loaded:
    """Features of `rows` of so many scans, once they are asked for. Raises Damaged where the file has others."""

    path: Path
    rows: Sequence[int]
    scans: int

    def __call__(self) -> NDArray[np.float32]:
        try:
            features: NDArray[np.float32] = np.load(self.path)
        except (ValueError, EOFError) as error:
            raise Damaged(self.path, EVALUATE_AGAIN) from error
        if features.ndim != 2 or len(features) != self.scans:
            raise Damaged(self.path, EVALUATE_AGAIN)
        return features[self.rows]


class Lazily(Mapping[Reading, NDArray[np.float32]]):
    """Arrays by reading that are loaded as they are asked for, and not kept."""

    def __init__(self, loads: Mapping[Reading, Callable[[], NDArray[np.float32]]]) -> None:
        self._loads = loads

    def __getitem__(self, reading: Reading) -> NDArray[np.float32]:
        return self._loads[reading]()

    def __iter__(self) -> Iterator[Reading]:
        return iter(self._loads)

    def __len__(self) -> int:
        return len(self._loads)


def _values(spec: SweepSpec, configuration: Configuration) -> dict[str, object]:
    """Parameters, fields of the training, options, and whatever any option changes, by the field's own name."""
    chosen = spec.choosing(configuration.choices).model_dump(mode="json")
    patches = [patch.model_dump() for options in spec.search.choices.values() for patch in options.values()]
    changed = {field for patch in patches for field in _fields({key: patch[key] for key in _PATCHED})}
    values = {field[-1]: _at(chosen, field) for field in sorted(changed)}
    return {name: _NULL.get(name) if value is None else value for name, value in values.items()} | configuration.values


def _fields(section: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value in a section."""
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _fields(value, (*place, key))
        else:
            yield *place, key


def _at(document: Any, field: Sequence[str]) -> object:
    for key in field:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _store(settings: Settings, folder: SweepFolder) -> VolumeStore | None:
    """The volume store that the sweep read first, if it is still here."""
    for version in folder.read_state().volumes.split():
        for path in sorted(UPath(settings.volumes).glob(f"*-{version[:12]}")):
            return VolumeStore.open_unchecked(path)
    return None


def _columns(store: VolumeStore, scans: Sequence[str]) -> dict[str, list[str]]:
    """Cells of the table by column, for those that every scan has."""
    cells = [_cells(store.subjects[row]) for row in store.rows_of(scans)]
    shared = [column for column in cells[0] if all(column in one for one in cells)]
    return {column: [one[column] for one in cells] for column in shared}


def _cells(scan: StoredSubject) -> dict[str, str]:
    known = {**scan.strata, **scan.covariates, **scan.split_cells, **scan.people, **scan.described}
    return {column: str(cell) for column, cell in known.items()} | ({"group": scan.group} if scan.group else {})


def _people(store: VolumeStore | None, spec: SweepSpec, base: Path, record: TrialRecord) -> dict[str, int]:
    """How many people a configuration is trained on, under `people`; nothing where nobody knows any more."""
    trained = trained_on(store, spec.choosing(record.configuration.choices).data, base)
    return {"people": len({scan.subject for scan in trained})} if trained else {}


def trained_on(store: VolumeStore | None, config: DataConfig, base: Path) -> list[StoredSubject]:
    """The labelled scans of the training split as `config.train` leaves it, with folds of the first run's.

    None where the store is gone, or the table that says which fulfil `where`.
    """
    if store is None:
        return []
    try:
        outside = outside_training(read_subjects(config, base)[0]) if config.train.where else frozenset()
    except UserError:
        return []
    splits = training_split(store_splits(store, config.stratified_split), store.subjects, outside, config.train)
    return [store.subjects[row] for row in store.rows_of(splits.train)]
