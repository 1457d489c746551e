"""Raw files to volume store: each image is read and transformed once, in parallel, and kept.

Scans sorted by id are cut into shards; one task makes one shard by itself, so that memory stays small, a lost
shard is made again alone, and a run that was interrupted goes on with the shards that it left.
"""

import errno
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
from upath import UPath

from contrasweep.services.cluster.parallel import expect_items, parallel
from contrasweep.services.data.sources import Digests, Progress, Sources, Task, scan_digest
from contrasweep.services.spec.cohorts import naming_cohort
from contrasweep.services.spec.readings import naming_options, place
from contrasweep.services.spec.replicate import REFIT, Fold
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.text import count, first_few, without_secrets
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import DataConfig, Frozen, TrainingSplitConfig
from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.normalization import store_normalization
from contrasweep.trainers.data.participants import (
    Rejected,
    Subject,
    check_label_range,
    labels_of,
    outside_training,
    read_subjects,
)
from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.splits import Splits, all_but_test, fold_of, store_splits
from contrasweep.trainers.data.store import (
    FORMAT,
    MANIFEST,
    LabelStatistics,
    LeftOut,
    Manifest,
    Shard,
    Source,
    StoredImage,
    StoredSubject,
    Volume,
    VolumeStore,
    columns,
    is_whole,
    remove_abandoned,
    write_manifest,
    write_shard,
)
from contrasweep.trainers.data.training import training_split
from contrasweep.trainers.data.transforms import Pipeline, build_own, build_transforms
from contrasweep.trainers.data.volume import differs, load_scan
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.normalization import Normalization

_DIGESTS = ".digests.json"
_SAMPLE, _FIRST = 16, 4
"""Scans that are looked at for their shape; every fourth of them is enough where these agree."""
_LIBRARIES = (
    "contrasweep",
    "av",
    "monai",
    "nibabel",
    "numpy",
    "pillow",
    "pydicom",
    "scikit-image",
    "scipy",
    "simpleitk",
)
_GOES_ON = "what was done is kept, prepare again goes on with it"


@dataclass(frozen=True)
class Stored:
    """A store; for the screen: who was `rejected`, and which shards were damaged and `mended`.

    `reused` says that nothing had to be made. `outside` are the ids of scans that do not fulfil `data.train.where`: the
    table tells them, and no store. `base` is where files that the transforms read are relative to.
    """

    store: VolumeStore
    rejected: tuple[LeftOut, ...]
    reused: bool
    mended: tuple[str, ...] = ()
    outside: frozenset[str] = frozenset()
    base: Path = Path()


@dataclass(frozen=True)
class View:
    """What a run sees of a store: who is where, as `data.train` has it, and what was fitted on those it trains on."""

    splits: Splits
    normalization: Normalization | None = None
    covariates: Covariates | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared(Stored):
    """A store ready for training, and those of the external cohorts, by name.

    `views` are one, under None, or those of the runs that are validated on each fold; `refit` is that of the runs that
    are trained on all but the test split. `whole` says who is where, whatever `data.train` leaves. With outer folds it
    says who is in which, `outer` has the views of the search in each, and `views` those of the first.
    """

    views: Mapping[Fold, View]
    whole: Splits
    outer: tuple[Mapping[Fold, View], ...] = ()
    refit: View | None = None
    external: Mapping[str, Stored] = field(default_factory=dict)

    @property
    def searches(self) -> "tuple[Prepared, ...]":
        """What each search reads: this, or, with outer folds, one for each."""
        if not self.outer:
            return (self,)
        parts = zip(self.outer, self.whole.outer, strict=True)
        return tuple(replace(self, views=views, whole=splits, outer=()) for views, splits in parts)

    @property
    def splits(self) -> Splits:
        """Who is where, as `data.train` has it; with outer folds in which of them, and with folds in the first run."""
        return self.whole if self.outer else self.first.splits

    @property
    def all_views(self) -> dict[Fold, View]:
        """The views with that of refitting, where there is one."""
        return {**self.views, **({REFIT: self.refit} if self.refit else {})}

    @property
    def first(self) -> View:
        """The only view, or that of fold 0: they are alike but for who is trained and who is validated on."""
        return next(iter(self.views.values()))

    @property
    def folds(self) -> int:
        """How many folds there are; 0 where there are none."""
        return 0 if None in self.views else len(self.views)

    @property
    def labelled(self) -> tuple[str, ...]:
        """Ids of the scans with a label that any run trains on."""
        return tuple(sorted({name for view in self.views.values() for name in view.splits.train}))

    @property
    def label_range(self) -> float:
        """The largest range of the labels that a run is taught."""
        return max(float(np.ptp(self._taught(view.splits))) for view in self.all_views.values())

    def _taught(self, splits: Splits) -> list[float]:
        table = {scan.id: scan.label for scan in self.store.subjects}
        labels = [splits.taught.get(name, table[name]) for name in splits.train]
        return [label for label in labels if label is not None]


class Outcome(Frozen):
    """What became of one scan: the sha256 of its stored values and what its files held, or why it was rejected."""

    id: str
    content: str = ""
    sources: tuple[Source, ...] = ()
    reason: str | None = None


class Made(Frozen):
    """What became of one task: its shard, if any scan of it could be used, and every scan's outcome."""

    shard: Shard | None
    outcomes: tuple[Outcome, ...]

    def is_of(self, task: Task) -> bool:
        """Whether these are the outcomes of this task's scans."""
        return [outcome.id for outcome in self.outcomes] == [subject.id for subject in task.subjects]


def prepare(
    config: DataConfig, base: Path, volumes: Path | UPath, progress: Progress, *, name: str | None = None
) -> Prepared:
    """The volume store of `config` in `volumes`, a folder or URL, and those of its cohorts, made where not there yet.

    `base` is the folder that paths in `config` are relative to. `name` is the store's, by default that of
    the table's folder. It is made by the cluster that was joined, or by processes of this machine.

    Raises UserError on an unusable table (`read_subjects`), on unknown transforms, when more than
    `config.max_rejected` of the scans are rejected, on a label range of zero, on an empty split, where the images of a
    cohort have another shape than the study's, and where a store cannot be written.
    """
    volumes = UPath(volumes)

    def make(data: DataConfig, cohort: str | None) -> Stored:
        return _make_store(data, base, volumes, _steps_of(cohort or "", progress), cohort or name)

    return _prepared(config, volumes, *_stores(config, make))


def find_prepared(config: DataConfig, base: Path, volumes: Path | UPath, *, name: str | None = None) -> Prepared | None:
    """What `prepare` gives where all of it is there and whole, None where anything must be made; raises the same."""
    volumes = UPath(volumes)
    try:
        stores = _stores(config, lambda data, cohort: _find_store(data, base, volumes, cohort or name))
    except _NotThereError:
        return None
    return _prepared(config, volumes, *stores)


def prepare_each(loaded: LoadedSpec, volumes: Path | UPath, progress: Progress) -> dict[Options, Prepared]:
    """What `prepare` gives of each of the spec's `readings`, each store made once; raises the same.

    Raises UserError, too, where one leaves other scans than another.
    """
    volumes = UPath(volumes)

    def make(options: Options, data: DataConfig, cohort: str | None) -> Stored:
        named = [".".join(option) for option in options] + ([cohort] if cohort else [])
        return _make_store(data, loaded.base, volumes, _steps_of(", ".join(named), progress), cohort)

    return _prepared_each(loaded, volumes, make)


def find_prepared_each(loaded: LoadedSpec, volumes: Path | UPath) -> dict[Options, Prepared] | None:
    """What `prepare_each` gives where all of it is there and whole, None where not; raises the same."""
    volumes = UPath(volumes)

    def find(options: Options, data: DataConfig, cohort: str | None) -> Stored:
        return _find_store(data, loaded.base, volumes, cohort)

    try:
        return _prepared_each(loaded, volumes, find)
    except _NotThereError:
        return None


def by_store(loaded: LoadedSpec) -> list[dict[Options, LoadedSpec]]:
    """The spec's `readings`, those together whose scans are read and prepared alike, and fulfil `data.train.where`."""
    found: dict[str, dict[Options, LoadedSpec]] = {}
    for options, reading in loaded.readings.items():
        data = reading.spec.data
        alike = {"train": TrainingSplitConfig(where=data.train.where), "normalize": None}
        found.setdefault(data.model_copy(update=alike).model_dump_json(), {})[options] = reading
    return list(found.values())


def check_same_scans(kept: Mapping[Options, Collection[str]]) -> None:
    """Raise UserError where options leave other scans (ids) than others: their figures could not be compared."""
    everyone = {name for ids in kept.values() for name in ids}
    for options, ids in kept.items():
        if lacking := sorted(everyone - set(ids)):
            raise UserError(
                f"{place(options)}: rejects {count(len(lacking), 'scan')} that another option keeps "
                f"({first_few(lacking)}); all options must leave the same: leave these out by data.where"
            )


def versions_of(prepared: Mapping[Options, Stored]) -> str:
    """The versions of all stores, with blanks between them."""
    return " ".join(dict.fromkeys(one.store.manifest.version for one in prepared.values()))


def searches_of(prepared: Mapping[Options, Prepared]) -> list[dict[Options, Prepared]]:
    """What each search reads: all of it, or, with outer folds, one for each."""
    apart = zip(*(one.searches for one in prepared.values()), strict=True)
    return [dict(zip(prepared, searches, strict=True)) for searches in apart]


class _NotThereError(Exception):
    """A store must be made, or mended."""


def _prepared_each(
    loaded: LoadedSpec, volumes: UPath, stored: Callable[[Options, DataConfig, str | None], Stored]
) -> dict[Options, Prepared]:
    found = {}
    for together in by_store(loaded):
        (options, reading), *_ = together.items()
        with naming_options(options):
            stores = _stores(reading.spec.data, partial(stored, options))
        for options, reading in together.items():
            with naming_options(options):
                found[options] = _prepared(reading.spec.data, volumes, *stores)
    check_same_scans({options: [scan.id for scan in one.store.subjects] for options, one in found.items()})
    return {options: found[options] for options in loaded.readings}


def _stores(config: DataConfig, stored: Callable[[DataConfig, str | None], Stored]) -> tuple[Stored, dict[str, Stored]]:
    """The study's store and the cohorts' as `stored` gives them: of a study without a name, of a cohort by its."""
    study, external = stored(config, None), {}
    for cohort, data in config.cohorts.items():
        with naming_cohort(cohort):
            external[cohort] = stored(data, cohort)
            check_cohort_shape(external[cohort].store.image_shape, study.store.image_shape)
    return study, external


def _prepared(config: DataConfig, volumes: UPath, study: Stored, external: Mapping[str, Stored]) -> Prepared:
    with _writing_to(volumes):
        whole = store_splits(study.store, config.stratified_split)
        views, *others = [_views(study, splits, config) for splits in whole.searches]
    for name, cohort in external.items():
        with naming_cohort(name):
            for view in (view for of in (views, *others) for view in of.values()):
                if view.covariates is not None:
                    _check_cohort_covariates(cohort.store, view.covariates)
    outer = (views, *others) if whole.outer else ()
    return Prepared(**vars(study), views=views, outer=outer, whole=whole, external=external)


def _views(study: Stored, splits: Splits, config: DataConfig) -> dict[Fold, View]:
    """What the runs of one search see, by the fold that they are validated on."""
    folds: Sequence[Fold] = range(len(splits.folds)) if splits.folds else (None,)
    return {fold: _view(study, fold_of(splits, fold) if isinstance(fold, int) else splits, config) for fold in folds}


def with_refit(prepared: Prepared, config: DataConfig) -> Prepared:
    """The same with the view of the runs that train on all but the test split, as `data.train` has them."""
    return replace(prepared, refit=_view(prepared, all_but_test(prepared.whole), config))


def _view(study: Stored, whole: Splits, config: DataConfig) -> View:
    """What a run sees that is validated as `whole` says."""
    store = study.store
    splits = training_split(whole, store.subjects, study.outside, config.train)
    training = store.cells_of(store.rows_of(splits.train))
    return View(
        splits,
        store_normalization(store, splits) if config.normalize else None,
        Covariates.fit(config.covariates, training) if config.covariates else None,
    )


def _steps_of(named: str, progress: Progress) -> Progress:
    """`progress`, told the steps of a cohort, or of what options choose."""
    return (lambda step, done, total: progress(f"{named}: {step}", done, total)) if named else progress


def check_cohort_shape(shape: tuple[int, ...], usual: tuple[int, ...]) -> None:
    """Raise UserError where a cohort's images are prepared to another shape than the study's."""
    if shape != usual:
        raise UserError(
            f"prepared images {list(shape)} differ from the study's {list(usual)}; data.transforms makes them alike"
        )


def _check_cohort_covariates(cohort: VolumeStore, covariates: Covariates) -> None:
    """Raise UserError where a column is of numbers in the study and of text in the cohort, or the reverse."""
    for column, levels in covariates.levels.items():
        kinds = {isinstance(scan.covariates[column], str) for scan in cohort.subjects}
        if kinds != {bool(levels)}:
            study, own = ("text", "numbers") if levels else ("numbers", "text")
            raise UserError(f"data.covariates: '{column}' is of {own}; allowed: {study}, as in the study")


def _find_store(config: DataConfig, base: Path, volumes: UPath, name: str | None) -> Stored:
    """The volume store of `config`. Raises _NotThereError where it is not there, or not whole."""
    name = _name_of(config, base, name)
    if not _is_begun(volumes, name):
        raise _NotThereError
    sources = _sources(config, base, build_own(config.transforms, base))
    digests = Digests(volumes / _DIGESTS).known(sources.paths)
    if digests is None:
        raise _NotThereError
    folder = _folder_of(volumes, name, sources.version(digests))
    if not (folder / MANIFEST).is_file() or VolumeStore.open_unchecked(folder).damaged():
        raise _NotThereError
    return _opened(folder, sources, reused=True)


def _make_store(config: DataConfig, base: Path, volumes: UPath, progress: Progress, name: str | None) -> Stored:
    """The volume store of `config`, made where it is not there yet."""
    name = _name_of(config, base, name)
    if not _is_begun(volumes, name):
        expect_items()
    sources = _sources(config, base, build_transforms(config.transforms, base))
    with _writing_to(volumes):
        known = Digests(volumes / _DIGESTS)
        digests = known.of(sources.paths, progress)
        version = sources.version(digests)
        folder = _folder_of(volumes, name, version)
        exists = (folder / MANIFEST).is_file()
        mended = _mend(folder, sources, progress) if exists else ()
        if not exists:
            _build(folder, sources, version, digests, known, progress)
        return _opened(folder, sources, reused=exists and not mended, mended=mended)


def _name_of(config: DataConfig, base: Path, name: str | None) -> str:
    """What a store's folder begins with."""
    return _slug(name or (base / config.folder).resolve().name)


def _is_begun(volumes: UPath, name: str) -> bool:
    """Whether a store of this name is there, of any version. Raises UserError where `volumes` does not answer."""
    _check_reachable(volumes)
    return any(volumes.glob(f"{name}-*"))


def _folder_of(volumes: UPath, name: str, version: str) -> UPath:
    return volumes / f"{name}-{version[:12]}"


def _sources(config: DataConfig, base: Path, pipeline: Pipeline) -> Sources:
    """What a store of `config` is made from. Raises UserError where the table leaves nothing to use."""
    subjects, rejected = read_subjects(config, base, pipeline.columns)
    check_rejected(rejected, len(subjects) + len(rejected), config)
    if not subjects:
        raise UserError(f"data.participants: no subject of {config.listed_in} can be used; {_examples(rejected)}")
    return Sources(config, base, pipeline, tuple(subjects), tuple(rejected))


def _opened(folder: UPath, sources: Sources, *, reused: bool, mended: tuple[str, ...] = ()) -> Stored:
    store = VolumeStore.open_unchecked(folder)
    left_out = store.manifest.rejected
    check_rejected(left_out, len(store.subjects) + len(left_out), sources.config)
    return Stored(store, left_out, reused, mended, outside_training(sources.subjects), sources.base)


@contextmanager
def _writing_to(volumes: UPath) -> Iterator[None]:
    """Raise UserError where a store cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        kept = f"; {_GOES_ON}" if error.errno == errno.ENOSPC else ""
        fault = f"volume store in {volumes} (CONTRASWEEP_VOLUMES) cannot be made: {reason}{kept}"
        raise UserError(without_secrets(fault)) from error


def _check_reachable(volumes: UPath) -> None:
    """Raise UserError where an object store does not answer."""
    if isinstance(volumes, Path):
        return
    try:
        volumes.exists()
    except Exception as error:  # each kind of object store has errors of its own
        reason = " ".join(str(error).split())
        raise UserError(without_secrets(f"CONTRASWEEP_VOLUMES: {volumes} cannot be reached: {reason}")) from error


def check_rejected(rejected: Sequence[Rejected | LeftOut], total: int, config: DataConfig) -> None:
    """Raise UserError where more of `total` scans are rejected than `config.max_rejected` allows."""
    if len(rejected) > config.max_rejected * total:
        raise UserError(
            f"{config.listed_in}: {len(rejected)} of {total} subjects are rejected, more than "
            f"data.max_rejected {config.max_rejected:g} allows; {_examples(rejected)}"
        )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "volumes"


def _examples(rejected: Sequence[Rejected | LeftOut]) -> str:
    """The first few of the rejected, in one line."""
    texts = [f"{r.subject}: {r.reason}" + (f" ({r.path})" if r.path else "") for r in rejected[:3]]
    more = f" ... and {len(rejected) - 3} more" if len(rejected) > 3 else ""
    return f"first: {'; '.join(texts)}{more}"


def _mend(folder: UPath, sources: Sources, progress: Progress) -> tuple[str, ...]:
    """Make shards of a finished store again that were lost, cut short or changed; their names."""
    store = VolumeStore.open_unchecked(folder)
    broken = {shard.file for shard in store.damaged()}
    if not broken:
        return ()
    tasks = [task for task in sources.tasks(store.image_shape) if task.file in broken]
    remade = {made.shard for made in _make(tasks, folder, progress) if made.shard is not None}
    if remade != {shard for shard in store.manifest.shards if shard.file in broken}:
        raise UserError(f"volume store {folder}: {sorted(broken)} came out otherwise; delete the folder, prepare again")
    _forget_records(folder)
    return tuple(sorted(broken))


def _build(
    folder: UPath, sources: Sources, version: str, digests: dict[Path, str], known: Digests, progress: Progress
) -> None:
    """Make the shards, or those that an interrupted run did not get to; the manifest, last, makes it a store."""
    image_shape = _image_shape(sources)
    try:
        made = _make(sources.tasks(image_shape), folder, progress)
    except UserError:
        if (folder / MANIFEST).is_file():  # another run has made it meanwhile, and removed what was half-written
            return
        raise
    try:
        _check_unchanged(sources, version, digests, known.of(list(digests), progress))
        manifest = _manifest(sources, version, digests, made, image_shape)
    except UserError:
        if not (folder / MANIFEST).is_file():  # nothing here will be of use once that is mended
            folder.fs.rm(folder.path, recursive=True)
        raise
    write_manifest(folder, manifest)
    _forget_records(folder)


def _check_unchanged(sources: Sources, version: str, before: dict[Path, str], now: dict[Path, str]) -> None:
    """Raise UserError where a file changed between its checksum and its decoding, or since."""
    if sources.version(now) != version:
        changed = next((str(path) for path in before if now[path] != before[path]), "a file of data.transforms")
        raise UserError(
            f"{sources.config.listed_in}: {changed} changed while it was read; prepare again when it is done"
        )


def _image_shape(sources: Sources) -> tuple[int, ...]:
    """The shape (C, *S) after transforms that most of a sample of the scans have."""
    total = len(sources.subjects)
    step = -(-total // _SAMPLE)
    sample = [Task(0, (subject,), sources.config, sources.base, ()) for subject in sources.subjects[::step]]
    probes = list(parallel(_probe_shape, sample[::_FIRST]))
    if len(set(probes)) > 1 or isinstance(probes[0], str):
        probes = list(parallel(_probe_shape, sample))
    shapes = Counter(probe for probe in probes if isinstance(probe, tuple))
    if not shapes:
        first = Rejected.of(sample[0].subjects[0], str(probes[0]))
        raise UserError(
            f"data.image: none of {len(sample)} images out of {total} can be used; "
            f"first: {sources.relative(first.path) or first.subject}: {first.reason}"
        )
    return max(shapes, key=lambda shape: shapes[shape])


def _probe_shape(task: Task) -> tuple[int, ...] | str:
    """Task: the shape of one scan after transforms, or why it has none."""
    pipeline = build_transforms(task.config.transforms, task.base)
    try:
        return load_scan(task.subjects[0], pipeline, task.config.dtype, task.config.affine).values.shape
    except UnreadableError as error:
        return str(error)


def _make(tasks: Sequence[Task], folder: UPath, progress: Progress) -> list[Made]:
    """Make shards in parallel; what became of each, in their order. Raises UserError where they cannot be made."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
    total = sum(len(task.subjects) for task in tasks)
    progress("preparing", 0, total)
    made: list[Made] = []
    with closing(parallel(_make_shard, [(task, folder) for task in tasks])) as results:
        for result in results:
            if isinstance(result, str):
                raise UserError(f"volume store {folder}: {result}; {_GOES_ON}")
            made.append(result)
            progress("preparing", sum(len(part.outcomes) for part in made), total)
    return made


def _make_shard(item: tuple[Task, UPath]) -> Made | str:
    """Task: read, transform and write the scans of one shard; its record says that it is whole.

    A shard that an interrupted run left with its record is not made again. What keeps it from being written is told.
    """
    task, folder = item
    record = folder / f".{task.file}.json"
    known = _read_record(record)
    if known and known.is_of(task) and (known.shard is None or is_whole(folder, known.shard)):
        return known
    outcomes: list[Outcome] = []
    try:
        shard = write_shard(folder / task.file, _volumes(task, outcomes), task.image_shape, task.config.dtype)
        made = Made(shard=shard, outcomes=tuple(outcomes))
        write_atomically(record, made.model_dump_json().encode())
    except OSError as error:
        return f"{task.file} cannot be made: {' '.join(str(error).split())}"
    return made


def _read_record(path: UPath) -> Made | None:
    try:
        return Made.model_validate_json(path.read_bytes())
    except (OSError, ValueError):  # not there, or of another version of this program
        return None


def _forget_records(folder: UPath) -> None:
    """Remove the shards' records, and what workers that were killed left half-written."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            path.unlink()


def _volumes(task: Task, outcomes: list[Outcome]) -> Iterator[Volume]:
    """The usable images of a task one by one; what became of every scan is appended to `outcomes`."""
    pipeline = build_transforms(task.config.transforms, task.base)
    for subject in task.subjects:
        try:
            scan = load_scan(subject, pipeline, task.config.dtype, task.config.affine)
            if scan.values.shape != task.image_shape:
                raise UnreadableError(differs(scan.values.shape, task.image_shape))
        except UnreadableError as error:
            outcomes.append(Outcome(id=subject.id, reason=str(error)))
            continue
        outcomes.append(Outcome(id=subject.id, content=sha256(scan.values.data).hexdigest(), sources=scan.sources))
        yield Volume(subject.id, math.nan if subject.label is None else subject.label, subject.group, scan.values)


def _manifest(
    sources: Sources, version: str, digests: dict[Path, str], made: Sequence[Made], shape: tuple[int, ...]
) -> Manifest:
    config = sources.config
    outcomes = {outcome.id: outcome for part in made for outcome in part.outcomes}
    stored = [_stored(s, outcomes[s.id], sources, digests) for s in sources.subjects if outcomes[s.id].sources]
    unusable = [Rejected.of(s, reason) for s in sources.subjects if (reason := outcomes[s.id].reason)]
    left_out = [
        LeftOut(subject=r.subject, path=sources.relative(r.path), reason=r.reason)
        for r in (*sources.rejected, *unusable)
    ]
    check_rejected(left_out, len(stored) + len(left_out), config)
    labels = labels_of(stored)
    check_label_range(labels, config.label)
    return Manifest(
        format=FORMAT,
        version=version,
        columns=columns(shape, config.dtype),
        dtype=config.dtype,
        image_shape=shape,
        labels=LabelStatistics.of(config.label, labels),
        transforms=config.transforms,
        made_with={name: version_of(name) for name in _LIBRARIES},
        subjects=tuple(stored),
        rejected=tuple(sorted(left_out, key=lambda r: r.subject)),
        shards=tuple(part.shard for part in made if part.shard is not None),
    )


def _stored(subject: Subject, outcome: Outcome, sources: Sources, digests: dict[Path, str]) -> StoredSubject:
    images = {
        name: StoredImage(path=sources.relative(path) or "", digest=digests[path], source=source)
        for (name, path), source in zip(subject.images, outcome.sources, strict=True)
    }
    return StoredSubject(
        id=subject.id,
        subject=subject.subject,
        path=sources.relative(subject.path) or "",
        digest=scan_digest(subject, digests),
        content=outcome.content,
        label=subject.label,
        group=subject.group,
        strata=subject.strata,
        described=subject.described,
        source=outcome.sources[0],
        split_cells=subject.split_cells,
        covariates=subject.covariates,
        people=subject.people,
        images={} if list(images) == [""] else images,
    )
