"""The volume store: Parquet shards of fixed-shape tensors, sorted by subject, beside a manifest.

    <name>-<version>/
      shard-00000.parquet ...   columns subject, label, group, image (arrow.fixed_shape_tensor, float32 [C, *S])
      splits-<hash>.json        the subjects of each split
      manifest.json             written last: a folder without it is no store

Plain pyarrow reads a shard back: `pyarrow.parquet.read_table(path)["image"].combine_chunks().to_numpy_ndarray()`.
"""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from trainers.atomic import write_atomically
from trainers.config import Frozen
from trainers.errors import UserError

FORMAT = 1
MANIFEST = "manifest.json"
_GROUP_BYTES = 8 * 2**20
_GROUP_ROWS = 1024


class Shard(Frozen):
    """One Parquet file: its name, rows, size in bytes and sha256."""

    file: str
    rows: int
    bytes: int
    digest: str


class StoredSubject(Frozen):
    """One stored subject; `path` is relative to the participants table, `digest` the source file's sha256."""

    id: str
    path: str
    digest: str
    label: float
    group: str | None
    strata: dict[str, str | float]


class LeftOut(Frozen):
    """One subject that was rejected, and why."""

    subject: str
    path: str | None
    reason: str


class LabelStatistics(Frozen):
    """Of all stored subjects, in the label's unit: for people to read. Feeds compute theirs from training rows."""

    column: str
    count: int
    minimum: float
    maximum: float
    mean: float
    std: float


class Manifest(Frozen):
    """What a store holds and what it was made from."""

    format: Literal[1]
    version: str
    columns: dict[str, str]
    image_shape: tuple[int, ...]
    labels: LabelStatistics
    transforms: tuple[dict[str, dict[str, Any]], ...]
    subjects: tuple[StoredSubject, ...]
    rejected: tuple[LeftOut, ...]
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class Volume:
    """One image [C, *S] float32 on its way into a shard."""

    subject: str
    label: float
    group: str | None
    image: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """Decoded rows of a store: images [n, C, *S] float32, labels [n] float64, groups [n] int64, rows [n] int64."""

    images: NDArray[np.float32]
    labels: NDArray[np.float64]
    groups: NDArray[np.int64] | None
    rows: NDArray[np.int64]


class VolumeStore:
    """A finished store, open for reading. A row index is a subject's place in `subjects`, sorted by id."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path) -> "VolumeStore":
        """Open a store. Raises UserError where there is none, or where a shard is missing or cut short."""
        store = cls(folder, read_manifest(folder))
        for shard in store.damaged():
            raise UserError(f"volume store {folder}: {shard.file} is missing or cut short; prepare again to rebuild it")
        return store

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
        return 4 * math.prod(self.image_shape)

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """Labels [n] of all rows."""
        return np.array([subject.label for subject in self.subjects], dtype=np.float64)

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

    def read_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Images [k, C, *S] in the order of `rows`, reading only the row groups that hold them."""
        images = np.empty((len(rows), *self.image_shape), dtype=np.float32)
        shards = self.shard_of[rows]
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            offsets = rows[places] - np.searchsorted(self.shard_of, shard)
            _read_shard(self.folder / self.manifest.shards[shard].file, offsets, images, places)
        return images

    def load(self, ids: Iterable[str]) -> Rows:
        """Everything about some subjects, in store order."""
        rows = self.rows_of(ids)
        groups = None if self.groups is None else self.groups[rows]
        return Rows(self.read_rows(rows), self.labels[rows], groups, rows)

    def damaged(self) -> list[Shard]:
        """Shards that are missing or of another size than the manifest says; no byte of them is read."""
        paths = [(shard, self.folder / shard.file) for shard in self.manifest.shards]
        return [shard for shard, path in paths if not path.is_file() or path.stat().st_size != shard.bytes]

    def verify(self) -> None:
        """Read every shard. Raises UserError naming the first whose sha256 is not the manifest's."""
        for shard in self.manifest.shards:
            path = self.folder / shard.file
            if not path.is_file() or file_digest(path) != shard.digest:
                raise UserError(
                    f"volume store {self.folder}: {shard.file} does not match its sha256 {shard.digest[:12]} "
                    "in manifest.json; delete it and prepare again"
                )


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises UserError where there is none or it is not of this format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no volume store: it has no {MANIFEST}; make it with contrasweep prepare")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: '{field}': {first['msg']}; delete {folder} and prepare again") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest at once: it is there whole, or not at all."""
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=1).encode())


def write_shard(path: Path, volumes: Iterable[Volume], image_shape: tuple[int, ...]) -> Shard | None:
    """Write one shard, a row group at a time so that memory stays small. None, and no file, without volumes."""
    schema = _schema(image_shape)
    per_group = max(1, min(_GROUP_ROWS, _GROUP_BYTES // (4 * math.prod(image_shape))))
    source = iter(volumes)
    first = list(islice(source, per_group))
    if not first:
        return None
    temporary = _temporary(path)
    rows = 0
    try:
        with _writer(temporary, schema) as writer:
            for group in _groups(first, source, per_group):
                writer.write_batch(_record_batch(group, schema), row_group_size=per_group)
                rows += len(group)
        shard = Shard(file=path.name, rows=rows, bytes=temporary.stat().st_size, digest=file_digest(temporary))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return shard


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: object) -> str:
    """The sha256 of a JSON value in canonical form, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def columns(image_shape: tuple[int, ...]) -> dict[str, str]:
    """The shards' columns and their types, as the manifest names them."""
    return {field.name: str(field.type) for field in _schema(image_shape)}


def _schema(image_shape: tuple[int, ...]) -> Any:
    image = pa.fixed_shape_tensor(pa.float32(), image_shape)
    return pa.schema(
        [
            pa.field("subject", pa.string(), nullable=False),
            pa.field("label", pa.float64(), nullable=False),
            pa.field("group", pa.string()),
            pa.field("image", image, nullable=False),
        ]
    )


def _writer(path: Path, schema: Any) -> Any:
    """Bytes of equal significance side by side compress smooth images to about two thirds, at a small cost."""
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=["image.list.element"],
    )


def _groups(first: list[Volume], source: Iterator[Volume], size: int) -> Iterator[list[Volume]]:
    group = first
    while group:
        yield group
        group = list(islice(source, size))


def _record_batch(group: Sequence[Volume], schema: Any) -> Any:
    images = np.stack([volume.image for volume in group])
    storage = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), math.prod(images.shape[1:]))
    arrays = [
        pa.array([volume.subject for volume in group], pa.string()),
        pa.array([volume.label for volume in group], pa.float64()),
        pa.array([volume.group for volume in group], pa.string()),
        pa.ExtensionArray.from_storage(schema.field("image").type, storage),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _read_shard(path: Path, offsets: NDArray[np.int64], images: NDArray[np.float32], places: NDArray[np.int64]) -> None:
    """Copy the rows at `offsets` of one shard to `images[places]`, decoding one row group at a time."""
    with pq.ParquetFile(path, memory_map=True) as file:
        sizes = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = np.searchsorted(ends, offsets, side="right")
        for group in np.unique(groups):
            column = file.read_row_group(int(group), columns=["image"], use_threads=False).column("image")
            decoded = column.combine_chunks().to_numpy_ndarray()
            chosen = groups == group
            images[places[chosen]] = decoded[offsets[chosen] - (ends[group] - sizes[group])]


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
