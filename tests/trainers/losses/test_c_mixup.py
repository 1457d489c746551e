"""C-Mixup's partners; what they are mixed into is tested beside mixup."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KernelDensity

from contrasweep.trainers.losses.c_mixup import CMixup

AGES = torch.tensor([20.0, 21.0, 24.0, 30.0, 31.0])


@pytest.mark.parametrize("bandwidth", [1.0, 4.0])
def test_partners_follow_the_kernel_density_of_the_labels(bandwidth: float) -> None:
    loss = CMixup(bandwidth=bandwidth)
    torch.manual_seed(0)
    drawn = torch.stack([loss.partners(AGES, None, 1) for _ in range(4000)])
    for row, age in enumerate(AGES.tolist()):
        density = np.exp(KernelDensity(bandwidth=bandwidth).fit([[age]]).score_samples(AGES[:, None]))
        expected = 4000 * density / density.sum()
        found = np.bincount(drawn[:, row], minlength=5)
        likely = expected > 5
        assert (
            stats.chisquare(found[likely], expected[likely] * found[likely].sum() / expected[likely].sum()).pvalue
            > 0.005
        )
        assert found[~likely].sum() < 30


def test_far_labels_leave_the_sample_itself() -> None:
    y = torch.tensor([0.0, 1e6, 1e12])
    assert CMixup().partners(y, None, 1).tolist() == [0, 1, 2]


def test_whole_labels() -> None:
    assert CMixup(bandwidth=1e-3).partners(torch.tensor([20, 30, 20]).unique(), None, 1).tolist() == [0, 1]
