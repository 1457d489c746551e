from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.records.parquet import read_parquet
from contrasweep.services.records.readings import read_readings
from contrasweep.services.records.tested import TESTED, Said, read_tested, write_tested
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.errors import Damaged
from tests.damage import cut, empty, flip


def written(folder: Path) -> Path:
    path, labels = folder / TESTED, np.linspace(20, 80, 2000)
    scans = [f"sub-{number}" for number in range(2000)]
    write_tested(path, [Said(0, Replicate(seed), scans, labels, labels + seed) for seed in range(3)])
    return path


def test_what_is_sound_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert read_parquet(path).num_rows == 6000
    assert [(one.trial, one.mae) for one in read_tested(path)] == [(0, 1.0)]
    assert read_readings(tmp_path / "final.json").num_rows == 0, "there are none"


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_damage_is_named_with_what_to_do(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = written(tmp_path)
    damage(path)
    said = f"{path} is damaged: without final.json beside it, `contrasweep resume` evaluates the end again"
    for read in (read_parquet, read_tested):
        with pytest.raises(Damaged) as raised:
            read(path)
        assert str(raised.value) == said
