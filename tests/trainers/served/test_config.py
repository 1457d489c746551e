import json
from pathlib import Path

import numpy as np
import pytest

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.store import Source
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served import Detectors, ServedConfig
from contrasweep.trainers.served.config import FILE, FORMAT, SourceRange, without_study
from tests.trainers.served import served_sample


def source(shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None = None) -> Source:
    return Source(shape=shape, spacing_mm=spacing_mm, orientation=None, minimum=0.0, maximum=1.0, mean=0.5)


def test_a_range_holds_the_files_that_it_is_of() -> None:
    files = [source((1, 20, 30, 9), (1.0, 1.0, 3.0)), source((1, 24, 28, 9), (1.0, 1.0, 3.3)), source((1, 9), None)]
    told = SourceRange.of(files)
    assert told == SourceRange(shape=((1, 20, 28, 9), (1, 24, 30, 9)), spacing_mm=(1.0, 3.3))
    assert [told.unlike(file) for file in files[:2]] == [[], []]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (source((1, 20, 30), (1.0, 1.0, 1.0)), "shape 20 x 30 is unlike training's 20 x 30 x 9 to 20 x 30 x 9"),
        (source((2, 20, 30, 9), (1.0,) * 3), "shape 20 x 30 x 9 of 2 channels is unlike training's 20 x 30 x 9 to"),
        (source((1, 20, 30, 9), (1.0, 1.0, 2.0)), "voxels of 1 x 1 x 2 mm are unlike training's 1 to 1 mm"),
        (source((1, 20, 30, 9)), "it tells no voxel size"),
    ],
)
def test_what_is_beyond_the_range_is_said(other: Source, said: str) -> None:
    (words,) = SourceRange.of([source((1, 20, 30, 9), (1.0, 1.0, 1.0))]).unlike(other)
    assert words.startswith(said)


def test_a_model_of_a_later_version_is_one_line_that_names_it(tmp_path: Path) -> None:
    later = {"format": FORMAT + 1, "versions": {"contrasweep": "9.1.0"}, "anything": "else"}
    (tmp_path / FILE).write_text(json.dumps(later))
    with pytest.raises(UserError, match=r"was made by contrasweep 9\.1\.0; this version reads up to format 2"):
        ServedConfig.read(tmp_path)


def test_a_model_of_before_there_were_ensembles_has_runs_of_one_configuration(tmp_path: Path) -> None:
    now = served_sample.config()
    told = json.loads(now.model_dump_json(exclude={"format", "trials", "weights"}))
    (tmp_path / FILE).write_text(json.dumps(told | {"format": 1, "trial": 3, "method": "exponential"}))
    assert ServedConfig.read(tmp_path) == now
    assert now.origin == "tiny-1c2e, trial 3"
    assert now.model_copy(update={"trials": {3: "exponential", 8: "vanilla"}}).origin == "tiny-1c2e, trials 3, 8"


def test_a_damaged_model_and_none_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no model that takes scans: it has no served\.json"):
        ServedConfig.read(tmp_path)
    (tmp_path / FILE).write_text(served_sample.config().model_dump_json()[:-40])
    with pytest.raises(UserError, match="is damaged"):
        ServedConfig.read(tmp_path)


def test_who_took_part_and_where_they_lie_stays_with_the_study() -> None:
    study = {
        "participants": "/secret/study/participants.tsv",
        "image": "{participant_id}.png",
        "label": "age",
        "where": {"site": "A"},
        "join": [{"table": "/secret/more.tsv", "on": "participant_id"}],
        "external": [{"name": "adni", "participants": "/secret/adni.tsv", "image": "{participant_id}.png"}],
    }
    kept = without_study(DataConfig.model_validate(study), [])
    assert "secret" not in kept.model_dump_json()
    assert (kept.participants, kept.image, kept.label) == ("participants.tsv", "{participant_id}.png", "age")


def test_a_series_of_many_channels_is_looked_at_as_their_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 40, 6, 6)) + 5
    detectors = Detectors.fit(images[:40], images[40:], None)
    detectors.write(tmp_path)
    kept = Detectors.read(tmp_path)
    assert kept and detectors.image.precision.shape[0] < 20
    assert not kept.unlike(images[0], np.zeros(3, dtype=np.float32))
    assert kept.unlike(images[0] * 100, np.zeros(3, dtype=np.float32)) == ["the image is unlike those of training"]
