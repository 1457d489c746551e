"""Raw files to volume store: each image is read and transformed once, in parallel, and kept.

Subjects sorted by id are cut into shards; a Ray Data task makes one shard by itself, so that memory stays
small and a lost shard is made again alone.
"""

import json
import os
import pickle
import re
import shutil
import socket
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.atomic import write_atomically
from trainers.config import DataConfig
from trainers.data.participants import Rejected, Subject, check_label_range, read_subjects
from trainers.data.readers import UnreadableError, read
from trainers.data.splits import Splits, store_splits
from trainers.data.store import (
    FORMAT,
    LabelStatistics,
    LeftOut,
    Manifest,
    Shard,
    StoredSubject,
    Volume,
    VolumeStore,
    columns,
    file_digest,
    json_digest,
    read_manifest,
    write_manifest,
    write_shard,
)
from trainers.data.transforms import Transform, build_transforms
from trainers.errors import UserError

_DIGESTS = ".digests.json"
_SAMPLE = 16
_SHARD_BYTES = 64 * 2**20
_SHARD_ROWS = 16
_SHARDS = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """A store ready for training. `reused` says that nothing had to be read; `rejected` is for the screen."""

    store: VolumeStore
    splits: Splits
    rejected: tuple[LeftOut, ...]
    reused: bool


@dataclass(frozen=True)
class _Outcome:
    """What became of one subject: its source's sha256 ("" where not even that could be read), or why not."""

    subject: str
    digest: str
    reason: str | None


@dataclass(frozen=True)
class _Task:
    """All that one worker needs to make one shard, as JSON-like values."""

    index: int
    file: str
    subjects: tuple[Subject, ...]
    transforms: tuple[dict[str, dict[str, Any]], ...]
    image_shape: tuple[int, ...]


@dataclass(frozen=True)
class _Made:
    index: int
    shard: Shard | None
    outcomes: tuple[_Outcome, ...]


def prepare(config: DataConfig, base: Path, volumes: Path, progress: Progress, *, name: str | None = None) -> Prepared:
    """The volume store of `config` in `volumes`, made where it is not there yet.

    `base` is the folder that `config.participants` is relative to. `progress(done, total)` counts subjects.
    `name` is the store's, by default that of the table's folder. Ray must be initialised, unless the store
    exists already.

    Raises UserError on an unusable table (`read_subjects`), on unknown transforms, when more than
    `config.max_rejected` of the subjects are rejected, on a label range of zero and on an empty split.
    """
    subjects, rejected = read_subjects(config, base)
    check_rejected(rejected, len(subjects) + len(rejected), config)
    if not subjects:
        raise UserError(f"data.participants: no subject of {config.participants} can be used; {_examples(rejected)}")
    volumes.mkdir(parents=True, exist_ok=True)
    sources = _Sources(config, (base / config.participants).parent, tuple(subjects), tuple(rejected))
    digests = _Digests(volumes / _DIGESTS)
    name = _slug(name or (base / config.participants).resolve().parent.name)
    known = [digests.get(subject.path) for subject in subjects]
    folder = _folder(volumes, name, sources.version(known)) if all(digest is not None for digest in known) else None
    if folder is not None and folder.is_dir():
        store, reused = _reopen(folder, sources, progress)
    else:
        build_transforms(config.transforms)  # a wrong name is said here, not by a worker
        store, reused = _build(volumes, name, sources, digests, progress), False
    left_out = store.manifest.rejected
    check_rejected(left_out, len(store.subjects) + len(left_out), config)
    stratified = config.split.model_copy(update={"stratify": config.strata})
    return Prepared(store, store_splits(store, stratified), left_out, reused)


@dataclass(frozen=True)
class _Sources:
    """Everything that a store is made from, apart from the images' bytes."""

    config: DataConfig
    folder: Path
    subjects: tuple[Subject, ...]
    rejected: tuple[Rejected, ...]

    def version(self, digests: Sequence[str | None]) -> str:
        """The sha256 of sources, labels and transforms: the store's identity."""
        rows = [
            [subject.id, digest, subject.label, subject.group, subject.strata]
            for subject, digest in zip(self.subjects, digests, strict=True)
        ]
        left_out = [[rejected.subject, rejected.reason] for rejected in self.rejected]
        content = {
            "format": FORMAT,
            "label": self.config.label,
            "subjects": rows,
            "rejected": left_out,
            "transforms": list(self.config.transforms),
        }
        return json_digest(content)

    def relative(self, path: Path | None) -> str | None:
        """A source's path as the manifest names it: relative to the participants table."""
        return None if path is None else Path(os.path.relpath(path, self.folder)).as_posix()

    def tasks(self, image_shape: tuple[int, ...]) -> list[_Task]:
        """The shards to make. Depends on the sources only, so that a shard can be made again alone."""
        nbytes = 4 * int(np.prod(image_shape))
        size = max(_SHARD_ROWS, min(_SHARD_BYTES // nbytes, -(-len(self.subjects) // _SHARDS)))
        parts = [self.subjects[start : start + size] for start in range(0, len(self.subjects), size)]
        return [
            _Task(index, f"shard-{index:05d}.parquet", part, self.config.transforms, image_shape)
            for index, part in enumerate(parts)
        ]


class _Digests:
    """The sha256 of files seen before, believed while a file's size and time of change stay the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._load()

    def get(self, path: Path) -> str | None:
        """The digest of `path`, or None where it is not known."""
        entry = self._known.get(os.path.abspath(path))
        return str(entry[2]) if entry is not None and entry[:2] == _stamp(path) else None

    def add(self, digests: Iterable[tuple[Path, str]]) -> None:
        """Keep digests for the next time, beside what another process has added meanwhile."""
        new = {os.path.abspath(path): [*_stamp(path), digest] for path, digest in digests if digest}
        self._known = {**self._load(), **new}
        write_atomically(self._path, json.dumps(self._known, separators=(",", ":")).encode())

    def _load(self) -> dict[str, list[Any]]:
        try:
            return dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError):  # a cache that is gone or broken only costs time
            return {}


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "volumes"


def _folder(volumes: Path, name: str, version: str) -> Path:
    return volumes / f"{name}-{version[:12]}"


def check_rejected(rejected: Sequence[Rejected | LeftOut], total: int, config: DataConfig) -> None:
    """Raise UserError where more of `total` subjects are rejected than `config.max_rejected` allows."""
    if len(rejected) > config.max_rejected * total:
        raise UserError(
            f"{config.participants}: {len(rejected)} of {total} subjects are rejected, more than "
            f"data.max_rejected {config.max_rejected:g} allows; {_examples(rejected)}"
        )


def _examples(rejected: Sequence[Rejected | LeftOut]) -> str:
    """The first few of the rejected, in one line."""
    texts = [f"{r.subject}: {r.reason}" + (f" ({r.path})" if r.path else "") for r in rejected[:3]]
    more = f" ... and {len(rejected) - 3} more" if len(rejected) > 3 else ""
    return f"first: {'; '.join(texts)}{more}"


def _reopen(folder: Path, sources: _Sources, progress: Progress) -> tuple[VolumeStore, bool]:
    """Open a finished store; shards that were lost or cut short are made again. True where none was."""
    manifest = read_manifest(folder)
    broken = {shard.file for shard in VolumeStore(folder, manifest).damaged()}
    if not broken:
        return VolumeStore.open(folder), True
    tasks = [task for task in sources.tasks(manifest.image_shape) if task.file in broken]
    remade = {made.shard.file: made.shard for made in _run(tasks, folder, progress) if made.shard is not None}
    shards = tuple(remade.get(shard.file, shard) for shard in manifest.shards)
    if [shard.rows for shard in shards] != [shard.rows for shard in manifest.shards]:
        raise UserError(f"volume store {folder}: {sorted(broken)} came out otherwise; delete the folder, prepare again")
    write_manifest(folder, manifest.model_copy(update={"shards": shards}))
    return VolumeStore.open(folder), False


def _build(volumes: Path, name: str, sources: _Sources, digests: _Digests, progress: Progress) -> VolumeStore:
    """Make the whole store in a folder of its own, and give it its name when it is whole."""
    partial = volumes / f"{name}.partial-{socket.gethostname()}-{os.getpid()}"
    _remove_abandoned(volumes)
    partial.mkdir()
    try:
        image_shape = _image_shape(sources)
        made = _run(sources.tasks(image_shape), partial, progress)
        outcomes = [outcome for part in made for outcome in part.outcomes]
        paired = list(zip(sources.subjects, outcomes, strict=True))
        digests.add((subject.path, outcome.digest) for subject, outcome in paired)
        manifest = _manifest(sources, paired, [part.shard for part in made if part.shard is not None], image_shape)
        for half_written in partial.glob(".shard-*"):  # by a worker that was killed and whose task ran again
            half_written.unlink()
        write_manifest(partial, manifest)
        return VolumeStore.open(_publish(partial, _folder(volumes, name, manifest.version)))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_abandoned(volumes: Path) -> None:
    """Remove what killed processes of this host have left behind."""
    for folder in volumes.glob(f"*.partial-{socket.gethostname()}-*"):
        pid = int(folder.name.rpartition("-")[2])
        if pid == os.getpid() or not _is_alive(pid):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _publish(partial: Path, folder: Path) -> Path:
    """Rename; where another process was first, its store is as good as ours."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    return folder


def _manifest(
    sources: _Sources, paired: Sequence[tuple[Subject, _Outcome]], shards: Sequence[Shard], shape: tuple[int, ...]
) -> Manifest:
    config = sources.config
    stored = [
        StoredSubject(
            id=subject.id,
            path=sources.relative(subject.path) or "",
            digest=outcome.digest,
            label=subject.label,
            group=subject.group,
            strata=subject.strata,
        )
        for subject, outcome in paired
        if outcome.reason is None
    ]
    left_out = [LeftOut(subject=r.subject, path=sources.relative(r.path), reason=r.reason) for r in sources.rejected]
    left_out += [
        LeftOut(subject=subject.id, path=sources.relative(subject.path), reason=outcome.reason)
        for subject, outcome in paired
        if outcome.reason is not None
    ]
    check_rejected(left_out, len(stored) + len(left_out), config)
    labels = [subject.label for subject in stored]
    check_label_range(labels, config.label)
    return Manifest(
        format=FORMAT,
        version=sources.version([outcome.digest for _, outcome in paired]),
        columns=columns(shape),
        image_shape=shape,
        labels=_label_statistics(config.label, labels),
        transforms=config.transforms,
        subjects=tuple(stored),
        rejected=tuple(sorted(left_out, key=lambda r: r.subject)),
        shards=tuple(shards),
    )


def _label_statistics(column: str, labels: Sequence[float]) -> LabelStatistics:
    return LabelStatistics(
        column=column,
        count=len(labels),
        minimum=min(labels),
        maximum=max(labels),
        mean=statistics.fmean(labels),
        std=statistics.pstdev(labels),
    )


def _image_shape(sources: _Sources) -> tuple[int, ...]:
    """The shape (C, *S) after transforms that most of a sample of the subjects have."""
    count = len(sources.subjects)
    step = -(-count // _SAMPLE)
    sample = sources.subjects[::step]
    probes = list(_map(_probe_shape, [(subject, sources.config.transforms) for subject in sample]))
    shapes = Counter(probe for probe in probes if isinstance(probe, tuple))
    if not shapes:
        raise UserError(
            f"data.image: none of {len(sample)} images out of {count} can be used; "
            f"first: {sources.relative(sample[0].path)}: {probes[0]}"
        )
    return max(shapes, key=lambda shape: shapes[shape])


def _run(tasks: Sequence[_Task], folder: Path, progress: Progress) -> list[_Made]:
    """Make shards in parallel; what became of each, in their order."""
    total = sum(len(task.subjects) for task in tasks)
    progress(0, total)
    made: list[_Made] = []
    done = 0
    for part in _map(_make_shard, [(task, folder) for task in tasks]):
        made.append(part)
        done += len(part.outcomes)
        progress(done, total)
    return sorted(made, key=lambda part: part.index)


def _map(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """`function` over `items` with Ray Data, one task for each, in order."""
    import ray.data  # a second to import, and not needed where the store exists

    from trainers.data.feeds.stream import ordered_context

    assert ray.is_initialized(), "prepare needs Ray initialised by its caller"
    with ray.data.DataContext.current(ordered_context()):
        rows = [{"item": pickle.dumps(item)} for item in items]
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(partial(_call, function), num_cpus=1)
    for row in results.iter_rows():
        yield pickle.loads(row["result"])


def _call(function: Callable[[Any], Any], row: dict[str, bytes]) -> dict[str, bytes]:
    return {"result": pickle.dumps(function(pickle.loads(row["item"])))}


def _probe_shape(item: tuple[Subject, tuple[dict[str, dict[str, Any]], ...]]) -> tuple[int, ...] | str:
    """Ray task: the shape of one image after transforms, or why it has none."""
    subject, transforms = item
    try:
        return tuple(load_volume(subject.path, build_transforms(transforms)).shape)
    except UnreadableError as error:
        return str(error)


def _make_shard(item: tuple[_Task, Path]) -> _Made:
    """Ray task: read, transform and write the subjects of one shard."""
    task, folder = item
    outcomes: list[_Outcome] = []
    shard = write_shard(folder / task.file, _volumes(task, outcomes), task.image_shape)
    return _Made(task.index, shard, tuple(outcomes))


def _volumes(task: _Task, outcomes: list[_Outcome]) -> Iterator[Volume]:
    """The usable images of a task one by one; what became of every subject is appended to `outcomes`."""
    transform = build_transforms(task.transforms)
    for subject in task.subjects:
        digest = _digest(subject.path)
        try:
            image = load_volume(subject.path, transform, task.image_shape)
        except UnreadableError as error:
            outcomes.append(_Outcome(subject.id, digest, str(error)))
            continue
        outcomes.append(_Outcome(subject.id, digest, None))
        yield Volume(subject.id, subject.label, subject.group, image)


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:  # reading the image says what is wrong
        return ""


def load_volume(path: Path, transform: Transform, expected: tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """The transformed image [C, *S]. Raises UnreadableError with the reason where it cannot be used."""
    original = read(path)
    try:
        image = transform(original)
    except Exception as error:  # MONAI and torch raise nearly anything on a shape or value that they cannot take
        reason = " ".join(str(error).split())
        raise UnreadableError(f"transforms fail on shape {original.shape}: {type(error).__name__}: {reason}") from error
    if expected is not None and image.shape != expected:
        raise UnreadableError(f"shape {image.shape} differs from the others' {expected}")
    bad = int(image.size - np.isfinite(image).sum())
    if bad:
        raise UnreadableError(f"{bad} of {image.size} voxels are not finite")
    return image
