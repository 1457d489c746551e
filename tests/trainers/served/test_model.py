from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage
from nibabel.processing import resample_to_output
from scipy.ndimage import gaussian_filter

from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.served import Preparation, ServedModel, save_served
from tests.trainers.exports import exported
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def model(folder: Path) -> ServedModel:
    return ServedModel.load(folder)


def test_a_prediction_is_the_mean_over_the_runs_with_its_spread(model: ServedModel, tmp_path: Path) -> None:
    prepared = model.preparation.of(served_sample.scan(served_sample.picture(tmp_path / "a.png")))
    said = model.predict(prepared, {})
    alone = [float(one.infer(prepared.values[None]).predictions[0]) for one in model._members.values()]
    assert said.prediction == np.mean(alone)
    assert said.sd == pytest.approx(abs(alone[0] - alone[1]) / np.sqrt(2))
    assert said.unlike == ""


def test_runs_of_other_encoders_count_by_their_weights(tmp_path: Path) -> None:
    model = ServedModel.load(exported.ensemble(tmp_path))
    scan = served_sample.scan(served_sample.picture(tmp_path / "a.png", shape=(32, 32)))
    prepared, cells = model.preparation.of(scan), exported.CELLS[0]
    said = model.predict(prepared, cells)
    first, second = (float(one.infer(prepared.values[None], [cells]).predictions[0]) for one in model._members.values())
    assert said.prediction == 0.75 * first + 0.25 * second != np.mean([first, second])
    assert list(said.features) == ["trial-3-seed-0", "trial-8-seed-0"]


def test_one_run_has_no_spread(tmp_path: Path) -> None:
    model = ServedModel.load(served_sample.model(tmp_path, seeds=1))
    prepared = model.preparation.of(served_sample.scan(served_sample.picture(tmp_path / "a.png")))
    assert model.predict(prepared, {}).sd is None


def test_a_scan_of_another_shape_is_refused_and_an_unlike_file_told(model: ServedModel, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"shape \(1, 20, 16\) differs from the others' \(1, 16, 16\)"):
        model.preparation.of(served_sample.scan(served_sample.picture(tmp_path / "a.png", shape=(20, 16))))
    folder = served_sample.model(tmp_path, transforms=[{"Resize": {"spatial_size": [16, 16]}}])
    resized = ServedModel.load(folder)
    prepared = resized.preparation.of(served_sample.scan(served_sample.picture(tmp_path / "b.png", shape=(40, 30))))
    assert resized.predict(prepared, {}).unlike == "shape 40 x 30 is unlike training's 16 x 16 to 16 x 16"


def test_values_are_what_their_file_would_be(model: ServedModel, tmp_path: Path) -> None:
    path = served_sample.picture(tmp_path / "a.png", age=31)
    of_file = model.preparation.of_images({"": lambda: model.preparation.image(path)}, {})
    values = served_sample.pixels(31)[None]
    of_values = model.preparation.of_images({"": lambda: model.preparation.image(None, values)}, {})
    np.testing.assert_array_equal(of_file.values, of_values.values)


def test_a_volume_needs_its_affine(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    told = served_sample.config((1, 12, 12, 12), (1.0, 1.0), image="{participant_id}.nii.gz")
    run = served_sample.member(tmp_path / "run")
    save_served(tmp_path / "model", {"seed-0": run}, told.model_copy(update={"image_shape": (1, 16, 16)}), tmp_path)
    preparation = ServedModel.load(tmp_path / "model").preparation
    with pytest.raises(UnreadableError, match="needs its affine"):
        preparation.image(None, volume[None])
    with pytest.raises(UnreadableError, match=r"affine has the shape \[3, 3\]"):
        preparation.image(None, volume[None], np.eye(3))
    with pytest.raises(UnreadableError, match="one of path and image"):
        preparation.image(None)
    assert preparation.image(None, volume[None], np.eye(4).tolist()).spacing_mm == (1.0, 1.0, 1.0)


def test_files_that_transforms_read_come_with_the_model(tmp_path: Path) -> None:
    atlas = np.repeat(np.arange(1, 9), 8).reshape(4, 4, 4)
    nib.Nifti1Image(atlas.astype(np.int16), np.eye(4)).to_filename(tmp_path / "atlas.nii.gz")
    folder = served_sample.model(tmp_path, transforms=[{"Parcellate": {"atlas": "atlas.nii.gz"}}])
    (tmp_path / "atlas.nii.gz").unlink()
    model = ServedModel.load(folder)
    assert model.preparation.config.data.transforms == ({"Parcellate": {"atlas": "files/0-atlas.nii.gz"}},)


def test_one_brain_is_prepared_alike_however_it_is_stored(tmp_path: Path) -> None:
    shape = (1, 16, 18, 14)
    steps: list[dict[str, dict[str, Any]]] = [
        {"Spacing": {"pixdim": [2.0, 2.0, 2.0]}},
        {"ResizeWithPadOrCrop": {"spatial_size": list(shape[1:])}},
    ]
    told = served_sample.config(shape, (1.0, 1.0), image="{participant_id}.nii.gz", transforms=steps)
    preparation = Preparation(told, build_transforms(steps, tmp_path))
    brain = gaussian_filter(np.random.default_rng(0).random((32, 36, 28)), 3).astype(np.float32) * 100
    usual = nib.Nifti1Image(brain, np.diag([1.0, 1.0, 1.0, 1.0]))
    usual.to_filename(tmp_path / "ras.nii.gz")
    flipped = nib.Nifti1Image(brain[::-1], np.diag([-1.0, 1.0, 1.0, 1.0]) + np.eye(4, k=3) * 31)
    flipped.to_filename(tmp_path / "las.nii")
    MGHImage(brain, usual.affine).to_filename(tmp_path / "a.mgz")
    resample_to_output(usual, (1.5, 1.5, 1.5), order=1).to_filename(tmp_path / "coarse.nii.gz")
    prepared = {
        name: preparation.of(served_sample.scan(tmp_path / name)).values
        for name in ("ras.nii.gz", "las.nii", "a.mgz", "coarse.nii.gz")
    }
    expected = prepared.pop("ras.nii.gz")
    np.testing.assert_allclose(prepared["las.nii"], expected, rtol=1e-5)
    np.testing.assert_allclose(prepared["a.mgz"], expected, rtol=1e-5)
    inner = (slice(None), *[slice(2, -2)] * 3)
    assert np.abs(prepared["coarse.nii.gz"] - expected)[inner].mean() < 0.1 * expected[inner].std()
