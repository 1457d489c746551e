import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel.externals.netcdf import netcdf_file
from nibabel.testing import data_path

from contrasweep.trainers.data import readers
from tests.trainers.data.scans import write_nifti
from tests.trainers.data.test_readers import reason

VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
ZYX = ("zspace", "yspace", "xspace")


def write_minc(
    path: Path, values: np.ndarray, axes: tuple[str, ...] = ZYX, said: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Floats, with the axes in the file's order; `said` are attributes of axes."""
    with netcdf_file(str(path), "w") as file:
        for name, length in zip(axes, values.shape, strict=True):
            file.createDimension(name, length)
            axis = file.createVariable(name, "i", ())
            axis.spacing = b"regular__"
            for key, value in (said or {}).get(name, {}).items():
                setattr(axis, key, value)
        file.createVariable("image", "f", axes)[:] = values
        for name in ("image-min", "image-max"):
            file.createVariable(name, "d", ())
    return path


def test_it_is_the_same_as_the_volume_in_nifti(tmp_path: Path) -> None:
    said: dict[str, dict[str, Any]] = {
        "xspace": {"step": -2.0, "start": 10.0},
        "yspace": {"step": 3.0, "start": 20.0, "direction_cosines": np.array([0.0, 0.8, 0.6])},
        "zspace": {"step": 4.0, "start": 30.0, "direction_cosines": np.array([0.0, -0.6, 0.8])},
    }
    image = readers.read(write_minc(tmp_path / "a.mnc", VOLUME.T, said=said))
    affine = np.array([[-2, 0, 0, 10], [0, 2.4, -2.4, -2], [0, 1.8, 3.2, 36], [0, 0, 0, 1]])
    nifti = readers.read(write_nifti(tmp_path / "v.nii", VOLUME, affine))
    np.testing.assert_array_equal(image.values, nifti.values)
    assert image.affine is not None and nifti.affine is not None
    np.testing.assert_allclose(image.affine, nifti.affine, atol=1e-5)
    assert image.orientation == "SAL"  # of the axes as the file has them


def test_each_slice_is_scaled_by_its_own_range(tmp_path: Path) -> None:
    assert readers.get(".mnc")().write_sample(tmp_path / "a.mnc") == (1, 6, 5, 4)
    stored = np.arange(120).reshape(4, 5, 6)  # of 0 to 255; slice z is from 0 to z + 1
    expected = (stored / 255 * np.arange(1, 5)[:, None, None]).T
    np.testing.assert_allclose(readers.read(tmp_path / "a.mnc").values[0], expected, rtol=1e-5)


@pytest.mark.parametrize("axes", [("time", *ZYX), (*ZYX, "time")])
def test_times_are_channels_wherever_their_axis_is(axes: tuple[str, ...], tmp_path: Path) -> None:
    series = np.random.default_rng(0).normal(size=(5, 4, 3, 2)).astype(np.float32)
    values = series if axes[0] == "time" else np.moveaxis(series, 0, -1)
    path = write_minc(tmp_path / "a.mnc", values, axes, {"time": {"step": 2.5}})
    np.testing.assert_array_equal(readers.read(path).values, np.transpose(series, (0, 3, 2, 1)))
    assert readers.read(path).step_s == readers.read_header(path).step_s == 2.5


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = write_minc(tmp_path / "a.mnc", VOLUME[0], ("yspace", "xspace"))
    assert reason(path) == "has axes yspace, xspace; allowed: xspace, yspace, zspace, and time"
    with netcdf_file(str(path), "w") as file:
        file.createDimension("x", 2)
        file.createVariable("temperature", "f", ("x",))[:] = [1, 2]
    assert reason(path) == "is a netCDF file without an image of MINC"
    path.write_text("no")
    assert reason(path) == "is no MINC file"


def test_minc_2_is_read_where_h5py_is_installed() -> None:
    path = Path(str(data_path)) / "minc2_1_scale.mnc"
    if importlib.util.find_spec("h5py") is None:
        assert reason(path) == "is a MINC 2 file, which needs h5py: pip install h5py"
        return
    minc_1 = readers.read(Path(str(data_path)) / "minc1_1_scale.mnc")  # the same volume
    np.testing.assert_allclose(readers.read(path).values, minc_1.values, rtol=1e-5)
    assert readers.read(path).orientation == minc_1.orientation
