import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2.cifti2_axes import BrainModelAxis, LabelAxis, ParcelsAxis, ScalarAxis, SeriesAxis

from contrasweep.trainers.data import readers
from tests.trainers.data.scans import write_nifti
from tests.trainers.data.test_readers import reason

VERTICES = BrainModelAxis.from_mask(np.ones(30), name="cortex_left")
REGIONS = ParcelsAxis.from_brain_models([(f"P{k}", VERTICES[10 * k : 10 * k + 10]) for k in range(3)])
RNG = np.random.default_rng(0)


def write_cifti(path: Path, *axes: Any) -> np.ndarray:
    """A matrix of noise with these axes; its values."""
    values = RNG.normal(size=[len(axis) for axis in axes]).astype(np.float32)
    nib.save(nib.Cifti2Image(values, axes), path)
    return values


@pytest.mark.parametrize(("name", "places"), [("a.ptseries.nii", REGIONS), ("A.dtseries.nii", VERTICES)])
def test_a_series_is_places_by_times(name: str, places: Any, tmp_path: Path) -> None:
    values = write_cifti(tmp_path / name, SeriesAxis(0, 0.72, 40), places)
    image, header = readers.read(tmp_path / name), readers.read_header(tmp_path / name)
    np.testing.assert_array_equal(image.values, values.T)
    assert header.shape == (len(places), 40)
    assert image.step_s == header.step_s == pytest.approx(0.72)


def test_the_header_says_which_axis_is_time(tmp_path: Path) -> None:
    values = write_cifti(tmp_path / "a.ptseries.nii", REGIONS, SeriesAxis(0, 2, 3))  # as many times as regions
    image = readers.read(tmp_path / "a.ptseries.nii")
    np.testing.assert_array_equal(image.values, values)
    assert image.step_s == 2


def test_a_series_over_frequencies_has_no_seconds(tmp_path: Path) -> None:
    write_cifti(tmp_path / "a.dtseries.nii", SeriesAxis(0, 2, 5, unit="HERTZ"), VERTICES)
    assert readers.read(tmp_path / "a.dtseries.nii").step_s is None


@pytest.mark.parametrize(("name", "places"), [("t.pscalar.nii", REGIONS), ("t.dscalar.nii", VERTICES)])
@pytest.mark.parametrize("maps", [["thickness"], ["thickness", "myelin"]])
def test_scalars_are_maps_by_places(name: str, places: Any, maps: list[str], tmp_path: Path) -> None:
    values = write_cifti(tmp_path / name, ScalarAxis(maps), places)
    image = readers.read(tmp_path / name)
    np.testing.assert_array_equal(image.values, values)
    assert readers.read_header(tmp_path / name).shape == (len(maps), len(places))
    assert (image.affine, image.step_s) == (None, None)


@pytest.mark.parametrize("name", ["plain.nii", "packed.nii.gz"])
def test_a_matrix_under_the_ending_of_volumes_is_read_as_one(name: str, tmp_path: Path) -> None:
    values = write_cifti(tmp_path / "a.ptseries.nii", SeriesAxis(0, 0.72, 8), REGIONS)
    content = (tmp_path / "a.ptseries.nii").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    np.testing.assert_array_equal(readers.read(tmp_path / name).values, values.T)
    assert readers.read_header(tmp_path / name).shape == (3, 8)


def test_matrices_of_another_kind_are_refused(tmp_path: Path) -> None:
    allowed = "allowed: a series or scalars, by grayordinates or regions"
    write_cifti(tmp_path / "a.pconn.nii", REGIONS, REGIONS)
    assert reason(tmp_path / "a.pconn.nii") == f"is a CIFTI matrix of regions by regions; {allowed}"
    labels = LabelAxis(["parcels"], [{0: ("none", (0, 0, 0, 0))}])
    write_cifti(tmp_path / "a.dlabel.nii", labels, VERTICES)
    assert reason(tmp_path / "a.dlabel.nii") == f"is a CIFTI matrix of labels by grayordinates; {allowed}"


def test_a_volume_under_the_ending_of_a_matrix_is_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.dscalar.nii", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    assert reason(path).startswith("is no CIFTI file, though it is named as one")
