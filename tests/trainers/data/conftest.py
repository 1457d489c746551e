from pathlib import Path

import numpy as np
import pytest

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

SHAPE = (1, 3, 4)


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    """60 subjects in shards of 7: image r is filled with r, label r is 20 + r, groups alternate."""
    folder = tmp_path / "store"
    folder.mkdir()
    volumes = [
        Volume(f"s{row:02d}", 20.0 + row, "FM"[row % 2], np.full(SHAPE, row, dtype=np.float32)) for row in range(60)
    ]
    shards = [
        write_shard(folder / f"shard-{start // 7:05d}.parquet", volumes[start : start + 7], SHAPE)
        for start in range(0, len(volumes), 7)
    ]
    subjects = tuple(
        StoredSubject(
            id=v.subject, path=f"{v.subject}.npy", digest="", label=v.label, group=v.group, strata={"age": v.label}
        )
        for v in volumes
    )
    manifest = Manifest(
        format=FORMAT,
        version="0" * 64,
        columns=columns(SHAPE),
        image_shape=SHAPE,
        labels=LabelStatistics(column="age", count=60, minimum=20, maximum=79, mean=49.5, std=17.3),
        transforms=(),
        subjects=subjects,
        rejected=(),
        shards=tuple(shard for shard in shards if shard is not None),
    )
    write_manifest(folder, manifest)
    return VolumeStore.open(folder)
