from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms
from tests.trainers.data.transforms import heads


@pytest.fixture
def registration(tmp_path: Path) -> Pipeline:
    heads.write(tmp_path / "template.nii.gz", heads.volume(), heads.centred())
    return build_transforms([{"AffineRegistration": {"template": "template.nii.gz"}}], tmp_path)


def motion() -> heads.Array:
    """Turned by up to 12 degrees, stretched by up to 8 %, sheared, moved by up to 15 mm."""
    moved = np.eye(4)
    turned = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix()
    moved[:3, :3] = turned @ np.diag([1.08, 0.95, 1.04])
    moved[0, 1] += 0.04
    moved[:3, 3] = [12, -9, 15]
    return moved


def test_a_moved_head_comes_back_within_a_voxel(registration: Pipeline) -> None:
    """Marks at known places of the head, in a second channel, lie where the template's head has these places."""
    marked = np.array([[20.0, -10, 10], [-25, 15, 20], [5, 40, -15], [0, -45, 30]])
    affine = heads.centred() @ np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = -heads.centred()[0, 3]
    places = heads.world((heads.SIDE,) * 3, affine)
    carried = marked @ motion()[:3, :3].T + motion()[:3, 3]
    away = np.linalg.norm(places[:, None] - carried.T[:, :, None, None, None], axis=0)
    marks = np.exp(-((away / 8) ** 2)).astype(np.float32)
    head = heads.volume(motion(), affine) * 1.7
    image = Image(values=np.stack([head, *marks]) * np.float32(5), affine=affine)
    step = registration.steps[0]
    moved = step(image, {})
    assert moved.affine is not None
    np.testing.assert_allclose(moved.affine, heads.centred())
    grid = heads.world(moved.values.shape[1:], moved.affine)
    found = np.stack([(grid * mark).sum(axis=(1, 2, 3)) / mark.sum() for mark in moved.values[1:]])
    assert np.linalg.norm(found - marked, axis=1).max() < heads.SPACING_MM


def test_the_templates_box_at_another_spacing(tmp_path: Path) -> None:
    heads.write(tmp_path / "template.nii.gz", heads.volume(), heads.centred())
    arguments = {"template": "template.nii.gz", "spacing_mm": 7.2}
    step = build_transforms([{"AffineRegistration": arguments}], tmp_path).steps[0]
    moved = step(Image(values=heads.volume()[None], affine=heads.centred()), {})
    assert moved.values.shape == (1, 25, 25, 25), "179.2 mm"
    assert moved.spacing_mm == pytest.approx((7.2, 7.2, 7.2))
    middle = np.array([12, 12, 12, 1])
    assert moved.affine is not None
    np.testing.assert_allclose((moved.affine @ middle)[:3], 0, atol=1e-4, err_msg="both boxes have one middle")


def test_a_template_written_anew_is_read_anew(tmp_path: Path) -> None:
    image = Image(values=heads.volume()[None], affine=heads.centred())
    for side in (heads.SIDE, 24):
        affine = heads.centred(side)
        heads.write(tmp_path / "template.nii.gz", heads.volume(affine=affine, side=side), affine)
        step = build_transforms([{"AffineRegistration": {"template": "template.nii.gz"}}], tmp_path).steps[0]
        assert step(image, {}).values.shape == (1, side, side, side)


@pytest.mark.parametrize("what", ["noise", "constant", "half", "no affine"])
def test_a_registration_that_fails_is_refused(registration: Pipeline, what: str) -> None:
    rng = np.random.default_rng(0)
    values = {"noise": rng.random((1, 32, 32, 32)), "constant": np.ones((1, 32, 32, 32))}
    given = values.get(what, heads.volume()[None, :, :, : 8 if what == "half" else 32]).astype(np.float32)
    reasons = {
        "noise": "image and template share 0.0",
        "constant": "no contrast: every voxel is 1",
        "half": "registration fails: ",
        "no affine": "AffineRegistration needs voxel sizes",
    }
    with pytest.raises(UnreadableError, match=reasons[what]):
        registration(Image(values=given, affine=None if what == "no affine" else heads.centred()), {})
