"""The volume store: Parquet shards of fixed-shape tensors, sorted by id, beside a manifest.

    <name>-<version>/
      shard-00000.parquet ...   columns id, label, group, image [C, *S]
      splits-<hash>.json        the scans of each split
      manifest.json             written last: a folder without it is no store

The folder is a local one or any that fsspec reaches (s3://, gs://). An image is one value of the column `image`, its
bytes in C order and little-endian: Parquet handles each number of a list by itself, which reads six times slower. Plain
pyarrow reads a shard back, with the manifest's dtype and shape, which are the column's metadata, too:

    image = pyarrow.parquet.read_table(path)["image"].combine_chunks()
    numpy.frombuffer(image.buffers()[1], dtype).reshape(-1, *image_shape)
"""

import hashlib
import json
import math
import os
import socket
import statistics
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from upath import UPath

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.covariates import Cells, Covariates
from contrasweep.trainers.data.stamp import Stamp, stamp
from contrasweep.trainers.errors import UserError

FORMAT = 2
MANIFEST = "manifest.json"
_DIGEST = "digest"
Dtype = Literal["float32", "float16", "uint8"]
_GROUP_BYTES = 256 * 2**10
_PART_BYTES = 256 * 2**20
"""Of a row group, the least that can be read: small, so that a shuffled batch decodes little else."""
_OPEN_SHARDS = 64


class Shard(Frozen):
    """One Parquet file: its name, rows, size in bytes and sha256."""

    file: str
    rows: int
    bytes: int
    digest: str


class Source(Frozen):
    """An image as its file held it: shape (C, *S), voxel size, axes such as "LPS", and its finite values' range."""

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str | None
    minimum: float
    maximum: float
    mean: float


class StoredImage(Frozen):
    """One of a scan's several images; see `StoredSubject` for `path` and `digest`."""

    path: str
    digest: str
    source: Source


class StoredSubject(Frozen):
    """One stored scan; see `participants.Subject` for what the table says of it.

    `path` is relative to the participants table, `digest` the source file's sha256, `content` that of the stored
    values: equal for the same image in two files. Of several images, which `images` has by name in the order of their
    channels, `path` and `source` are the first's, and `digest` is of all.
    """

    id: str
    subject: str
    path: str
    digest: str
    content: str
    label: float | None
    group: str | None
    strata: dict[str, str | float]
    described: dict[str, str]
    source: Source
    split_cells: dict[str, str] = Field(default_factory=dict)
    covariates: dict[str, str | float] = Field(default_factory=dict, exclude_if=lambda cells: not cells)
    people: dict[str, str] = Field(default_factory=dict, exclude_if=lambda people: not people)
    images: dict[str, StoredImage] = Field(default_factory=dict, exclude_if=lambda images: not images)

    @property
    def sources(self) -> dict[str, Source]:
        """What the file of each image held, by the images' names; one alone has the name ""."""
        return {name: image.source for name, image in self.images.items()} or {"": self.source}

    @property
    def digests(self) -> tuple[str, ...]:
        """The sha256 of the images' files, each once."""
        return tuple(dict.fromkeys(image.digest for image in self.images.values())) or (self.digest,)


class LeftOut(Frozen):
    """One subject that was rejected, and why."""

    subject: str
    path: str | None
    reason: str


class LabelStatistics(Frozen):
    """Of all stored scans that have one, in its unit: for people to read. Feeds compute theirs from training rows."""

    column: str
    count: int
    minimum: float
    maximum: float
    mean: float
    std: float

    @classmethod
    def of(cls, column: str, labels: Sequence[float]) -> "LabelStatistics":
        """Of labels, at least one."""
        return cls(
            column=column,
            count=len(labels),
            minimum=min(labels),
            maximum=max(labels),
            mean=statistics.fmean(labels),
            std=statistics.pstdev(labels),
        )


class Manifest(Frozen):
    """What a store holds and what it was made from; `made_with` are the versions of what read and transformed it.

    Whoever changes what is stored of the same sources raises `FORMAT`: it is part of the version.
    """

    format: Literal[2]
    version: str
    columns: dict[str, str]
    dtype: Dtype
    image_shape: tuple[int, ...]
    labels: LabelStatistics
    transforms: tuple[dict[str, dict[str, Any]], ...]
    made_with: dict[str, str]
    subjects: tuple[StoredSubject, ...]
    rejected: tuple[LeftOut, ...]
    shards: tuple[Shard, ...]


@dataclass(frozen=True, eq=False)
class Volume:
    """One image [C, *S], in the store's dtype, on its way into a shard; its label is nan where it has none."""

    id: str
    label: float
    group: str | None
    image: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Decoded rows of a store: images [n, C, *S] in its dtype, labels [n] float64, groups [n] int64, rows [n] int64.

    `covariates` [n, K] are float32, None where there are none.
    """

    images: NDArray[Any]
    labels: NDArray[np.float64]
    groups: NDArray[np.int64] | None
    rows: NDArray[np.int64]
    covariates: NDArray[np.float32] | None = None


class VolumeStore:
    """A finished store, open for reading. A row index is a subject's place in `subjects`, sorted by id."""

    def __init__(self, folder: UPath, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: str | Path | UPath) -> "VolumeStore":
        """Open the store at a path or URL, every shard checked against its sha256.

        Raises UserError where there is none, naming what is damaged.
        """
        store = cls.open_unchecked(folder)
        damaged = [shard.file for shard in store.damaged()]
        if damaged:
            raise UserError(
                f"volume store {folder}: {', '.join(damaged)} missing, cut short or changed since written; "
                "contrasweep prepare makes it again"
            )
        return store

    @classmethod
    def open_unchecked(cls, folder: str | Path | UPath) -> "VolumeStore":
        """Open a store that was checked before; what is damaged since shows when it is read."""
        path = UPath(folder)
        return cls(path, read_manifest(path))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, *S) of every volume."""
        return self.manifest.image_shape

    @property
    def subjects(self) -> tuple[StoredSubject, ...]:
        """All stored subjects, sorted by id."""
        return self.manifest.subjects

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded images."""
        return len(self.subjects) * self.volume_nbytes

    @property
    def volume_nbytes(self) -> int:
        """Bytes of one decoded image."""
        return np.dtype(self.manifest.dtype).itemsize * math.prod(self.image_shape)

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """Labels [n] of all rows, nan where there is none."""
        return np.array([subject.label for subject in self.subjects], dtype=np.float64)  # None becomes nan

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """Groups [n] of all rows as their place among the sorted group names, or None without a group column."""
        names = [subject.group for subject in self.subjects if subject.group is not None]
        if not names:
            return None
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def shard_of(self) -> NDArray[np.int64]:
        """The shard's index [n] of each row."""
        return np.repeat(np.arange(len(self.manifest.shards)), [shard.rows for shard in self.manifest.shards])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {subject.id: row for row, subject in enumerate(self.subjects)}

    def rows_of(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Sorted row indices of subjects by id. Raises UserError where a subject is not stored."""
        try:
            return np.array(sorted(self._row_of[name] for name in ids), dtype=np.int64)
        except KeyError as error:
            raise UserError(f"volume store {self.folder}: no subject {error}") from error

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Images [k, C, *S] in the order of `rows`, in the store's dtype, decoding only the row groups that hold them.

        Raises UserError naming the shard where its bytes are damaged.
        """
        images = np.empty((len(rows), *self.image_shape), dtype=self.manifest.dtype)
        shards = self.shard_of[rows]
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            offsets = rows[places] - np.searchsorted(self.shard_of, shard)
            path = self.folder / self.manifest.shards[shard].file
            try:
                _read_shard(path, offsets, images, places)
            except (OSError, LookupError, ValueError, pa.ArrowException) as error:  # of a damaged footer, too
                raise UserError(
                    f"volume store {self.folder}: {path.name} cannot be read: {' '.join(str(error).split())}; "
                    "contrasweep prepare makes it again"
                ) from error
        return images

    def cells_of(self, rows: NDArray[np.int64]) -> list[Cells]:
        """What each row's table had in the columns of the covariates."""
        return [self.subjects[row].covariates for row in rows]

    def load(self, ids: Iterable[str], covariates: Covariates | None = None) -> Rows:
        """Everything about some scans, in store order; shards are decoded side by side."""
        rows = self.rows_of(ids)
        images = np.empty((len(rows), *self.image_shape), dtype=self.manifest.dtype)

        def fill(places: NDArray[np.int64]) -> None:
            images[places] = self.read_rows(rows[places])

        per_shard = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(self.shard_of[rows])) + 1)
        with ThreadPoolExecutor(_threads()) as pool:
            list(pool.map(fill, per_shard))
        groups = None if self.groups is None else self.groups[rows]
        told = None if covariates is None else covariates.encode(self.cells_of(rows))
        return Rows(images, self.labels[rows], groups, rows, told)

    def damaged(self) -> list[Shard]:
        """Shards that are missing, or whose sha256 is not the manifest's; every byte is read."""
        with ThreadPoolExecutor(_threads()) as pool:
            whole = pool.map(lambda shard: is_whole(self.folder, shard), self.manifest.shards)
            return [shard for shard, ok in zip(self.manifest.shards, whole, strict=True) if not ok]


def in_parts(store: VolumeStore, rows: NDArray[np.int64]) -> Iterator[Rows]:
    """Some scans in parts of bounded size, in the order of `rows`."""
    size = max(1, _PART_BYTES // store.volume_nbytes)
    for part in np.split(rows, range(size, len(rows), size)):
        yield store.load(store.subjects[row].id for row in part)


def is_whole(folder: UPath, shard: Shard) -> bool:
    """Whether a shard is in `folder`, as it was written."""
    path = folder / shard.file
    try:
        return path.stat().st_size == shard.bytes and file_digest(path) == shard.digest
    except OSError:
        return False


def read_manifest(folder: UPath) -> Manifest:
    """The manifest in `folder`. Raises UserError where there is none, it is not of this format, or was changed."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no volume store: it has no {MANIFEST}; make it with contrasweep prepare")
    try:
        content = _known_format(path)
        digest = content.pop(_DIGEST, None)
        manifest = Manifest.model_validate(content)
        if json_digest(content) != digest:
            raise ValueError(f"was changed since it was written: '{_DIGEST}' is not the sha256 of the rest")
        return manifest
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: '{field}': {first['msg']}; delete {folder} and prepare again") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; delete {folder} and prepare again") from error


def _known_format(path: UPath) -> dict[str, Any]:
    """What the manifest says. Raises UserError where a newer program wrote it, ValueError where it says nothing."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("is no JSON object")
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise UserError(f"{path}: 'format' {version} is of a newer contrasweep; this one reads up to {FORMAT}")
    return content


def write_manifest(folder: UPath, manifest: Manifest) -> None:
    """Write the manifest at once, there whole or not at all, with a digest: nothing in it is to be changed by hand."""
    content = manifest.model_dump(mode="json")
    sealed = {**content, _DIGEST: json_digest(content)}
    write_atomically(folder / MANIFEST, json.dumps(sealed, indent=1).encode())


def write_shard(path: UPath, volumes: Iterable[Volume], image_shape: tuple[int, ...], dtype: Dtype) -> Shard | None:
    """Write one shard, a row group at a time so that memory stays small. None, and no file, without volumes."""
    schema = _schema(image_shape, dtype)
    per_group = max(1, _GROUP_BYTES // (np.dtype(dtype).itemsize * math.prod(image_shape)))
    source = iter(volumes)
    first = list(islice(source, per_group))
    if not first:
        return None
    rows = 0
    with ExitStack() as stack:
        local = path.parent if isinstance(path, Path) else stack.enter_context(tempfile.TemporaryDirectory())
        temporary = Path(local) / f".{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        stack.callback(temporary.unlink, missing_ok=True)
        with _writer(temporary, schema) as writer:
            for group in _groups(first, source, per_group):
                writer.write_batch(_record_batch(group, schema), row_group_size=per_group)
                rows += len(group)
        shard = Shard(file=path.name, rows=rows, bytes=temporary.stat().st_size, digest=file_digest(temporary))
        if isinstance(path, Path):
            os.replace(temporary, path)
        else:
            path.fs.put_file(str(temporary), path.path)
    return shard


def remove_abandoned(folder: Path) -> None:
    """Remove what processes of this machine that are gone left half-written."""
    for path in folder.glob(f".*.parquet.{socket.gethostname()}-*"):
        if not psutil.pid_exists(int(path.name.split("-")[-2])):
            path.unlink(missing_ok=True)


def file_digest(path: Path | UPath) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()


def json_digest(content: object) -> str:
    """The sha256 of a JSON value in canonical form, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def columns(image_shape: tuple[int, ...], dtype: Dtype) -> dict[str, str]:
    """The shards' columns and their types, as the manifest names them."""
    return {field.name: str(field.type) for field in _schema(image_shape, dtype)}


def _schema(image_shape: tuple[int, ...], dtype: Dtype) -> Any:
    nbytes = np.dtype(dtype).itemsize * math.prod(image_shape)
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("label", pa.float64(), nullable=False),
            pa.field("group", pa.string()),
            pa.field(
                "image", pa.binary(nbytes), nullable=False, metadata={"dtype": dtype, "shape": str(list(image_shape))}
            ),
        ]
    )


def _writer(path: Path, schema: Any) -> Any:
    """zstd 1 decodes at 2 GB/s here, and halves to thirds images; checksums of pages find what rots later."""
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )


def _groups(first: list[Volume], source: Iterator[Volume], size: int) -> Iterator[list[Volume]]:
    group = first
    while group:
        yield group
        group = list(islice(source, size))


def _record_batch(group: Sequence[Volume], schema: Any) -> Any:
    images = np.stack([volume.image for volume in group])
    arrays = [
        pa.array([volume.id for volume in group], pa.string()),
        pa.array([volume.label for volume in group], pa.float64()),
        pa.array([volume.group for volume in group], pa.string()),
        pa.FixedSizeBinaryArray.from_buffers(schema.field("image").type, len(group), [None, pa.py_buffer(images)]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _read_shard(path: UPath, offsets: NDArray[np.int64], images: NDArray[Any], places: NDArray[np.int64]) -> None:
    """Copy the rows at `offsets` of one shard to `images[places]`."""
    unchanged = stamp(path) if isinstance(path, Path) else None
    file, ends = _opened(path, unchanged, threading.get_ident())
    group_of = np.searchsorted(ends, offsets, side="right")
    for group in np.unique(group_of):
        column = file.read_row_group(int(group), columns=["image"], use_threads=False).column("image").chunk(0)
        decoded = np.frombuffer(column.buffers()[1], images.dtype).reshape(-1, *images.shape[1:])
        chosen = group_of == group
        images[places[chosen]] = decoded[offsets[chosen] - ends[group]]  # from the end: a group's last row is -1


@lru_cache(maxsize=_OPEN_SHARDS)
def _opened(path: UPath, unchanged: Stamp | None, thread: int) -> tuple[Any, NDArray[np.int64]]:
    """A shard, open for one thread as Parquet readers are not made for several, and the rows up to each group's end."""
    filesystem = None if isinstance(path, Path) else path.fs
    file = pq.ParquetFile(path.path, filesystem=filesystem, pre_buffer=True, page_checksum_verification=True)
    groups = range(file.num_row_groups)
    return file, np.cumsum([file.metadata.row_group(index).num_rows for index in groups])


def _threads() -> int:
    return len(os.sched_getaffinity(0))
