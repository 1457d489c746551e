from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data import readers
from contrasweep.trainers.data.participants import Subject, read_subjects
from contrasweep.trainers.data.phantom import PHANTOM_IMAGE, write_phantom

SHAPE = (12, 14, 12)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    table = write_phantom(tmp_path_factory.mktemp("phantom"), shape=SHAPE)
    stratify = ("study", "coverage", "sex")
    config = DataConfig(participants=table.name, image=PHANTOM_IMAGE, label="age", split={"stratify": stratify})
    subjects, rejected = read_subjects(config, table.parent)
    assert not rejected
    return subjects


def column(subjects: list[Subject], name: str) -> NDArray[Any]:
    return np.array([subject.strata[name] for subject in subjects])


def test_studies_have_the_sizes_and_ages_of_table_2(phantom: list[Subject]) -> None:
    ages = np.array([subject.label for subject in phantom])
    study = column(phantom, "study")
    table = {1: (134, 23.4, 4.0), 2: (60, 37.8, 20.9), 3: (12, 69.4, 2.4), 4: (68, 69.3, 5.8), 5: (37, 49.1, 16.6)}
    for number, (size, mean, sd) in table.items():
        own = ages[study == f"study-{number}"]
        assert len(own) == size
        assert own.mean() == pytest.approx(mean, abs=4 * sd / size**0.5)
    assert ages.min() >= 18
    assert ages.max() <= 90
    assert (column(phantom, "sex") == "F").sum() == 183
    young, middle, old = (((ages >= low) & (ages < low + 15)).sum() for low in (18, 40, 62))
    assert young > 2 * middle
    assert old > 1.5 * middle


def test_maps_soften_with_age_and_miss_up_to_a_fifth(phantom: list[Subject]) -> None:
    images = np.stack([readers.read(subject.path).values for subject in phantom])
    assert images.shape[1:] == (1, *SHAPE)
    ages = np.array([subject.label for subject in phantom])
    stiffness = np.array([image[image > 0].mean() for image in images])
    slope_per_year = np.polyfit(ages, stiffness, 1)[0] / stiffness.mean()
    assert -0.006 < slope_per_year < -0.002
    coverage = column(phantom, "coverage")
    assert coverage.min() >= 0.8
    assert coverage.max() == 1
    assert (coverage >= 0.9).mean() > 0.7
    partly = images[np.argmin(coverage), 0]
    assert not partly[:, :, -1 - SHAPE[2] // 8 :].any() or not partly[:, :, : 1 + SHAPE[2] // 8].any()


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    tables = [write_phantom(tmp_path / str(i), subjects=4, shape=(6, 6, 6), seed=i // 2) for i in range(3)]
    files = [[path.read_bytes() for path in sorted(table.parent.rglob("*.*"))] for table in tables]
    assert len(files[0]) == 5
    assert files[0] == files[1]
    assert files[0] != files[2]


@pytest.mark.parametrize("subjects", [1, 12, 40])
def test_small_phantoms_have_as_many_subjects_as_asked(tmp_path: Path, subjects: int) -> None:
    table = write_phantom(tmp_path, subjects=subjects, shape=(6, 6, 6))
    assert len(table.read_text().splitlines()) == subjects + 1
