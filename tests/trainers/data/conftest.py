from pathlib import Path

import numpy as np
import pytest

from contrasweep.trainers.data.store import Volume, VolumeStore
from tests.trainers.data.small_store import write_store

SHAPE = (1, 3, 4)


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    """60 subjects in shards of 7: image r is filled with r, label r is 20 + r, groups alternate."""
    volumes = [
        Volume(f"s{row:02d}", 20.0 + row, "FM"[row % 2], np.full(SHAPE, row, dtype=np.float32)) for row in range(60)
    ]
    return write_store(tmp_path / "store", volumes, per_shard=7)
