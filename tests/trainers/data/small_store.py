"""A volume store as `contrasweep prepare` leaves one, of volumes at hand."""

from collections.abc import Sequence
from pathlib import Path

from trainers.data.store import (
    FORMAT,
    LabelStatistics,
    Manifest,
    StoredSubject,
    Volume,
    VolumeStore,
    columns,
    write_manifest,
    write_shard,
)


def write_store(folder: Path, volumes: Sequence[Volume], *, per_shard: int) -> VolumeStore:
    """The given volumes, all of one shape, in shards under `folder`."""
    folder.mkdir()
    shape = volumes[0].image.shape
    starts = range(0, len(volumes), per_shard)
    shards = [
        write_shard(folder / f"shard-{number:05d}.parquet", volumes[start : start + per_shard], shape)
        for number, start in enumerate(starts)
    ]
    subjects = tuple(
        StoredSubject(
            id=v.subject, path=f"{v.subject}.npy", digest="", label=v.label, group=v.group, strata={"age": v.label}
        )
        for v in volumes
    )
    labels = [v.label for v in volumes]
    manifest = Manifest(
        format=FORMAT,
        version="0" * 64,
        columns=columns(shape),
        image_shape=shape,
        labels=LabelStatistics(
            column="age", count=len(labels), minimum=min(labels), maximum=max(labels), mean=49.5, std=17.3
        ),
        transforms=(),
        subjects=subjects,
        rejected=(),
        shards=tuple(shard for shard in shards if shard is not None),
    )
    write_manifest(folder, manifest)
    return VolumeStore.open(folder)
