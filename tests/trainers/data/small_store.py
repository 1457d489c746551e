"""A volume store as `contrasweep prepare` leaves one, of volumes at hand."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upath import UPath

from contrasweep.trainers.data.store import (
    FORMAT,
    Dtype,
    LabelStatistics,
    Manifest,
    Source,
    StoredSubject,
    Volume,
    VolumeStore,
    columns,
    write_manifest,
    write_shard,
)


def write_store(
    folder: Path | UPath,
    volumes: Sequence[Volume],
    *,
    per_shard: int,
    dtype: Dtype = "float32",
    told: Mapping[str, dict[str, Any]] | None = None,
) -> VolumeStore:
    """The given volumes, all of one shape, in shards under `folder`; `told` changes what the manifest says of an id."""
    folder = UPath(folder)
    folder.mkdir(parents=True)
    shape = volumes[0].image.shape
    starts = range(0, len(volumes), per_shard)
    shards = [
        write_shard(folder / f"shard-{number:05d}.parquet", volumes[start : start + per_shard], shape, dtype)
        for number, start in enumerate(starts)
    ]
    labels = [v.label for v in volumes if not math.isnan(v.label)]
    manifest = Manifest(
        format=FORMAT,
        version="0" * 64,
        columns=columns(shape, dtype),
        dtype=dtype,
        image_shape=shape,
        labels=LabelStatistics(
            column="age", count=len(labels), minimum=min(labels), maximum=max(labels), mean=49.5, std=17.3
        ),
        transforms=(),
        made_with={},
        subjects=tuple(_stored(volume, (told or {}).get(volume.id, {})) for volume in volumes),
        rejected=(),
        shards=tuple(shard for shard in shards if shard is not None),
    )
    write_manifest(folder, manifest)
    return VolumeStore.open(folder)


def _stored(volume: Volume, told: dict[str, Any]) -> StoredSubject:
    known: dict[str, Any] = {
        "id": volume.id,
        "subject": volume.id,
        "path": f"{volume.id}.npy",
        "digest": hashlib.sha256(volume.id.encode()).hexdigest(),
        "content": hashlib.sha256(volume.image.tobytes()).hexdigest(),
        "label": volume.label,
        "group": volume.group,
        "strata": {"age": volume.label},
        "described": {} if volume.group is None else {"sex": volume.group},
        "source": Source(
            shape=volume.image.shape,
            spacing_mm=None,
            orientation=None,
            minimum=float(volume.image.min()),
            maximum=float(volume.image.max()),
            mean=float(volume.image.mean()),
        ),
    }
    return StoredSubject(**(known | told))
