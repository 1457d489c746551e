from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers.served.folded import Folded
from contrasweep.trainers.served.saliency import KINDS, gradient, in_own_space, occlusion
from tests.trainers.served import served_sample


class Corner(nn.Module):
    """Says the sum of one corner of an image [N, C, *S]."""

    def forward(self, images: Tensor, covariates: Tensor | None) -> Tensor:
        return images[:, :, :4, :4].sum(dim=(1, 2, 3)).double()


def test_both_kinds_find_what_a_prediction_is_made_of() -> None:
    image = torch.rand(1, 2, 16, 24, generator=torch.Generator().manual_seed(0)) + 1
    of_gradient, hidden = (KINDS[kind](Corner(), image, None).numpy() for kind in ("gradient", "occlusion"))  # type: ignore[arg-type]
    inside = np.zeros((16, 24), dtype=bool)
    inside[:4, :4] = True
    np.testing.assert_array_equal(of_gradient > 0, inside)
    assert of_gradient[0, 0] == 2, "one for each channel"
    assert hidden.shape == (16, 24) and hidden[:3, :3].min() > 0 and abs(hidden[8:, 8:]).max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_served_model_has_maps_of_both_kinds(kind: str, tmp_path: Path) -> None:
    folded = Folded.load(served_sample.model(tmp_path, seeds=1))
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 100
    found = KINDS[kind](folded, image, None)
    assert found.shape == (16, 16) and found.isfinite().all() and found.abs().max() > 0


def test_a_map_lies_where_its_voxels_were(tmp_path: Path) -> None:
    brain = np.zeros((20, 22, 24), dtype=np.float32)
    brain[4:8, 10:14, 12:16] = 1
    nib.Nifti1Image(brain[::-1], np.diag([-1.0, 1.0, 1.0, 1.0]) + np.eye(4, k=3) * 19).to_filename(tmp_path / "las.nii")
    coarse = brain[::2, ::2, ::2]
    placed = in_own_space(coarse, np.diag([2.0, 2.0, 2.0, 1.0]), tmp_path / "las.nii", None)
    assert placed.shape == (20, 22, 24)
    peak = placed.affine @ [*np.argwhere(placed.get_fdata() > 0.9).mean(axis=0), 1]
    np.testing.assert_allclose(peak[:3], [5, 11, 13], atol=1.1)


def test_a_map_of_a_picture_is_stretched_over_it(tmp_path: Path) -> None:
    path = served_sample.picture(tmp_path / "a.png", shape=(32, 48))
    placed = in_own_space(np.eye(16, dtype=np.float32), None, path, None)
    assert placed.shape == (32, 48, 1) and (placed.affine == np.eye(4)).all()


def test_gradient_leaves_the_weights_alone(tmp_path: Path) -> None:
    folded = Folded.load(served_sample.model(tmp_path, seeds=1))
    image = torch.rand(1, 1, 16, 16)
    gradient(folded, image, None), occlusion(folded, image, None)
    assert all(parameter.grad is None for parameter in folded.parameters()) and not image.requires_grad
