from pathlib import Path

import numpy as np
import pytest
import torch

from contrasweep.services.sweep import saliency
from contrasweep.services.sweep.saliency import MOST, bands, draw_saliency, drawn
from contrasweep.trainers.data.store import Volume, VolumeStore
from contrasweep.trainers.served.folded import Folded
from contrasweep.trainers.served.saliency import gradient
from tests.trainers import tiny
from tests.trainers.data.small_store import write_store
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


def store_of(folder: Path, people: int, shape: tuple[int, ...] = tiny.IMAGE_SHAPE) -> VolumeStore:
    rng = np.random.default_rng(0)
    images = rng.random((people, *shape)).astype(np.float32)
    return write_store(
        folder, [Volume(f"s{n:02d}", 20.0 + n, None, image) for n, image in enumerate(images)], per_shard=people
    )


def test_each_third_has_the_mean_of_its_images_and_of_their_gradients(folder: Path, tmp_path: Path) -> None:
    model, store = Folded.load(folder), store_of(tmp_path / "store", 12)
    rows = np.arange(2, 11)
    found = bands(model, store, rows)
    assert [(band.name, band.people) for band in found] == [
        ("below 24.67", 3),
        ("24.67 to 27.33", 3),
        ("27.33 and above", 3),
    ]
    images = store.load(store.subjects[row].id for row in rows[:3]).images
    np.testing.assert_allclose(found[0].image, images.mean(axis=(0, 1)), rtol=1e-5)
    maps = [gradient(model, torch.from_numpy(image[None]), None).numpy() for image in images]
    np.testing.assert_allclose(found[0].salient, np.mean(maps, axis=0), rtol=1e-5)


def test_of_many_runs_few_people_are_asked(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, model = store_of(tmp_path / "store", 30), Folded.load(folder)
    monkeypatch.setattr(saliency, "MOST_DERIVATIVES", 3 * 5 * len(model.runs))
    assert [band.people for band in bands(model, store, np.arange(30))] == [5] * 3
    monkeypatch.setattr(saliency, "MOST_DERIVATIVES", 1)
    assert [band.people for band in bands(model, store, np.arange(30))] == [saliency.FEWEST] * 3


def test_of_many_people_some_stand_for_all(folder: Path, tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", 3 * MOST + 9)
    assert [band.people for band in bands(Folded.load(folder), store, np.arange(3 * MOST + 9))] == [MOST] * 3


def test_a_volume_is_cut_in_three_planes_beside_their_maps_and_a_series_not_at_all(
    folder: Path, tmp_path: Path
) -> None:
    of_pictures = bands(Folded.load(folder), store_of(tmp_path / "store", 9), np.arange(9))
    assert len(drawn(of_pictures, "age").axes) == 3 * 2
    volume = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    of_volumes = [band._replace(image=volume, salient=volume) for band in of_pictures]
    figure = drawn(of_volumes, "age")
    assert [axes.images[0].get_array().shape for axes in figure.axes[:6:2]] == [(6, 5), (6, 4), (5, 4)]  # type: ignore[union-attr]
    series = store_of(tmp_path / "series", 4, (3, 8))
    assert draw_saliency(folder, series, np.arange(4), "age", torch.device("cpu")) is None
