"""MONAI's transforms: the affine follows the voxels."""

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import Image, UnreadableError, read
from contrasweep.trainers.data.transforms import build_transforms
from contrasweep.trainers.errors import UserError
from tests.trainers.data.transforms.heads import Array, world

SHAPE = (16, 18, 12)
STRAIGHT = np.array([[2.0, 0, 0, -20], [0, 1.5, 0, -10], [0, 0, 3, 5], [0, 0, 0, 1]])
LPS = np.diag([-1.0, -1, 1, 1]) @ STRAIGHT
TURN = np.array([[np.cos(0.2), -np.sin(0.2), 0, 0], [np.sin(0.2), np.cos(0.2), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def ramp(shape: tuple[int, ...], affine: Array) -> NDArray[np.float32]:
    """Brightness is a known function of where a voxel is, never zero."""
    x, y, z = world(shape, affine)
    return np.asarray(1000 + x + 10 * y + 20 * z, dtype=np.float32)


@pytest.mark.parametrize("affine", [STRAIGHT, LPS, TURN @ STRAIGHT], ids=["RAS", "LPS", "oblique"])
@pytest.mark.parametrize(
    "step",
    [
        {"Spacing": {"pixdim": [1, 1, 1]}},
        {"Spacing": {"pixdim": [3, 3, 3]}},
        {"Orientation": {"axcodes": "RAS"}},
        {"Orientation": {"axcodes": "SPL"}},
        {"Flip": {"spatial_axis": 0}},
        {"Flip": {}},
        {"Rotate90": {}},
        {"Resize": {"spatial_size": [8, 9, 6]}},
        {"Resize": {"spatial_size": [30, 20, 24], "mode": "trilinear"}},
        {"CenterSpatialCrop": {"roi_size": [9, 8, 9]}},
        {"SpatialPad": {"spatial_size": [20, 21, 22]}},
        {"ResizeWithPadOrCrop": {"spatial_size": [10, 20, 12]}},
        {"Affine": {"rotate_params": [0.1, 0, 0]}},
    ],
    ids=str,
)
def test_voxels_and_affine_move_together(step: dict[str, dict[str, Any]], affine: Array) -> None:
    """Away from what was padded, each voxel still has the brightness of the place that the affine says it is at."""
    moved = build_transforms([step], Path()).steps[0](Image(values=ramp(SHAPE, affine)[None], affine=affine), {})
    assert moved.affine is not None
    whole = np.pad(np.ones(SHAPE), 1)
    to_file = np.linalg.inv(affine) @ moved.affine
    places = np.rint(world(moved.values.shape[1:], to_file)).astype(int)
    sides = np.array(SHAPE)[:, None, None, None]
    inside = ((places >= 1) & (places < sides - 1)).all(axis=0)
    assert inside.sum() > 200 and whole.any()
    np.testing.assert_allclose(moved.values[0][inside], ramp(moved.values.shape[1:], moved.affine)[inside], atol=0.1)


def test_files_that_differ_only_in_how_they_were_written_become_equal(tmp_path: Path) -> None:
    """One head in RAS order and in LPS order, 2 x 1.5 x 3 mm, to 2 mm."""
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    image = nib.Nifti1Image(values, STRAIGHT)
    nib.save(image, tmp_path / "ras.nii.gz")
    other = image.as_reoriented(nib.orientations.axcodes2ornt(("L", "P", "S")))
    assert nib.aff2axcodes(other.affine) == ("L", "P", "S")
    nib.save(other, tmp_path / "lps.nii.gz")
    steps = build_transforms([{"Orientation": {"axcodes": "RAS"}}, {"Spacing": {"pixdim": [2, 2, 2]}}], Path())
    ras, lps = (steps(read(tmp_path / name), {}) for name in ("ras.nii.gz", "lps.nii.gz"))
    assert ras.shape == (1, 16, 14, 18), "30, 25.5 and 33 mm from the first voxel's middle to the last's"
    np.testing.assert_allclose(ras, lps, atol=1e-5)


def test_nothing_is_printed_and_nothing_warned(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps = build_transforms([{"Orientation": {"axcodes": "LPS"}}, {"Spacing": {"pixdim": [2, 2, 2]}}], Path())
        steps(Image(values=ramp(SHAPE, STRAIGHT)[None], affine=STRAIGHT), {})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["Spacing", "Orientation"])
def test_what_needs_voxel_sizes_says_so(name: str) -> None:
    arguments = {"pixdim": [1, 1]} if name == "Spacing" else {"axcodes": "RA"}
    with pytest.raises(UnreadableError, match=f"{name} needs voxel sizes, which this format does not tell"):
        build_transforms([{name: arguments}], Path())(Image(values=np.ones((1, 4, 4), dtype=np.float32)), {})


def test_lazy_would_do_nothing_and_is_refused() -> None:
    with pytest.raises(UserError, match="Spacing has no argument 'lazy'"):
        build_transforms([{"Spacing": {"pixdim": [1, 1, 1], "lazy": True}}], Path())


@pytest.mark.parametrize("affine", [np.eye(4), TURN], ids=["straight", "oblique"])
def test_resampling_leaves_no_dust_outside_of_a_brain(affine: Array) -> None:
    """Next to a ball of 100 and more in zeros: what is neither 0 nor a fair part of 100 is rounding, and no brain."""
    ball = ((np.indices((40, 40, 40)) - 39 / 2) ** 2).sum(axis=0) < 12**2
    image = Image(values=(ball * (100 + np.arange(40)))[None].astype(np.float32), affine=affine)
    resampled = build_transforms([{"Spacing": {"pixdim": [2, 2, 2]}}], Path())(image, {})
    assert resampled[resampled != 0].min() > 1e-3
    normalize: list[dict[str, Any]] = [{"Spacing": {"pixdim": [2, 2, 2]}}, {"NormalizeIntensity": {"nonzero": True}}]
    normal = build_transforms(normalize, Path())(image, {})
    assert not normal[resampled == 0].any()
    assert normal[resampled != 0].mean() == pytest.approx(0, abs=1e-4)
    assert normal[resampled != 0].std() == pytest.approx(1, abs=1e-3)
