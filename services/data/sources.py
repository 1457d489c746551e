"""What a volume store is made from, and the version that follows from it."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from upath import UPath

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.participants import Rejected, Subject
from contrasweep.trainers.data.stamp import stamp
from contrasweep.trainers.data.store import FORMAT, file_digest, json_digest
from contrasweep.trainers.data.transforms import Pipeline

_READERS = 8
"""Threads that read files for their checksums."""
_SHARD_BYTES = 64 * 2**20
_SHARD_ROWS = 16
_SHARDS = 8
_TABLES = 2
"""How tables of numbers are read: since 2, a header says that columns are channels."""

Progress = Callable[[str, int, int], None]
"""Called with a step's name, and how many of how many are done."""


@dataclass(frozen=True)
class Task:
    """All that one worker needs to make one shard."""

    index: int
    subjects: tuple[Subject, ...]
    config: DataConfig
    base: Path
    image_shape: tuple[int, ...]

    @property
    def file(self) -> str:
        """The shard's name."""
        return f"shard-{self.index:05d}.parquet"


@dataclass(frozen=True)
class Sources:
    """Everything that a store is made from, apart from the images' bytes."""

    config: DataConfig
    base: Path
    pipeline: Pipeline
    subjects: tuple[Subject, ...]
    rejected: tuple[Rejected, ...]

    @property
    def paths(self) -> list[Path]:
        """The files, or folders, of all images."""
        return [path for subject in self.subjects for path in subject.paths]

    def version(self, digests: Mapping[Path, str]) -> str:
        """The sha256 of sources, labels and transforms: the store's identity."""
        rows = [
            [s.id, s.subject, scan_digest(s, digests), s.label, s.group, s.strata, s.described, s.numbers]
            # of stores that were made before there were any, nothing changes
            + [s.split_cells] * bool(s.split_cells)
            + [s.covariates] * bool(s.covariates)
            for s in self.subjects
        ]
        content = {
            "format": FORMAT,
            "label": self.config.label,
            "dtype": self.config.dtype,
            "subjects": rows,
            "rejected": [[rejected.subject, rejected.reason] for rejected in self.rejected],
            "transforms": list(self.config.transforms),
            "files": [file_digest(file) for path in self.pipeline.files for file in _files(path)],
        }
        if self.config.affine is not None:  # left out at its default, so that stores keep their versions
            content["affine"] = self.config.affine
        if any(path.suffix.lower() in (".csv", ".tsv") for subject in self.subjects for path in subject.paths):
            content["tables"] = _TABLES
        if self.config.image_names != ("",):
            content["images"] = list(self.config.image_names)
        return json_digest(content)

    def relative(self, path: Path | None) -> str | None:
        """A source's path as the manifest names it: relative to the table or the BIDS data set."""
        folder = self.base / self.config.folder
        return None if path is None else Path(os.path.relpath(path, folder)).as_posix()

    def tasks(self, image_shape: tuple[int, ...]) -> list[Task]:
        """The shards to make. Depends on the sources only, so that a shard can be made again alone."""
        nbytes = np.dtype(self.config.dtype).itemsize * math.prod(image_shape)
        size = max(_SHARD_ROWS, min(_SHARD_BYTES // nbytes, -(-len(self.subjects) // _SHARDS)))
        parts = [self.subjects[start : start + size] for start in range(0, len(self.subjects), size)]
        return [Task(index, part, self.config, self.base, image_shape) for index, part in enumerate(parts)]


def scan_digest(subject: Subject, digests: Mapping[Path, str]) -> str:
    """The digest of a scan's file, or of those of its several images in their order."""
    found = [digests[path] for path in subject.paths]
    return found[0] if len(found) == 1 else json_digest(found)


class Digests:
    """The sha256 of files seen before, believed while their stamps stay the same."""

    def __init__(self, path: UPath) -> None:
        self._path = path
        self._known = self._load()

    def of(self, paths: Sequence[Path], progress: Progress) -> dict[Path, str]:
        """The digest of each path, "" where it cannot be read; what is not known is read, in parallel."""
        stamps = {path: _stamp(path) for path in paths}  # before reading, so that a change meanwhile is seen next time
        found = {path: self._get(path, of_now) for path, of_now in stamps.items()}
        unknown = [path for path, digest in found.items() if digest is None]
        with ThreadPoolExecutor(_READERS) as pool:
            try:
                for done, (path, digest) in enumerate(zip(unknown, pool.map(path_digest, unknown), strict=True), 1):
                    found[path] = digest
                    progress("checksums", done, len(unknown))
            except BaseException:  # as an interrupt
                pool.shutdown(cancel_futures=True)
                raise
        if unknown:
            self._add({os.path.abspath(path): [stamps[path], found[path]] for path in unknown if found[path]})
        return {path: digest or "" for path, digest in found.items()}

    def known(self, paths: Sequence[Path]) -> dict[Path, str] | None:
        """The digest of each path, None where that of any would have to be read."""
        found = {path: self._get(path, _stamp(path)) for path in paths}
        known = {path: digest for path, digest in found.items() if digest is not None}
        return known if len(known) == len(found) else None

    def _get(self, path: Path, of_now: list[Any]) -> str | None:
        entry = self._known.get(os.path.abspath(path))
        return str(entry[1]) if entry is not None and entry[0] == of_now else None

    def _add(self, new: Mapping[str, list[Any]]) -> None:
        """Keep stamps and digests by path for the next time, beside what another process has added meanwhile."""
        self._known = {**self._load(), **new}
        write_atomically(self._path, json.dumps(self._known, separators=(",", ":")).encode())

    def _load(self) -> dict[str, list[Any]]:
        try:
            return dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError):  # a cache that is gone or broken only costs time
            return {}


def _stamp(path: Path) -> list[Any]:
    """The stamp of a file, or of every file of an image that is in several; empty where there is none."""
    try:
        files = _files(path)
        return list(stamp(path)) if files == [path] else [[file.name, *stamp(file)] for file in files]
    except OSError:
        return []


def path_digest(path: Path) -> str:
    """The sha256 of a file, or of the names and digests of an image's several; "" where reading it fails."""
    try:
        files = _files(path)
        if files == [path]:
            return file_digest(path)
        digests = [os.fsencode(file.name) + f"\0{file_digest(file)}\n".encode() for file in files]
        if (packed := readers.archive(path)) is not None:
            digests.append(os.fsencode(path.relative_to(packed)))
        return hashlib.sha256(b"".join(digests)).hexdigest()
    except OSError:  # reading the image says what is wrong
        return ""


def _files(path: Path) -> list[Path]:
    """The files of the image in `path`: a folder's, or those that its reader reads. Raises OSError without them."""
    if path.is_dir():
        return [entry for entry in sorted(path.iterdir()) if entry.is_file()]
    files = list(readers.files(path))
    for file in files:
        if not file.is_file():  # a pipe would wait for a writer
            raise FileNotFoundError(file)
    return files
