import numpy as np
import pytest
import torch

from contrasweep.trainers.label_bins import label_bins


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_decimal_labels_have_a_bin_each(decimals: int, dtype: torch.dtype) -> None:
    step = 10.0**-decimals
    labels = torch.tensor([round(step * k, decimals) for k in range(-300, 300)], dtype=dtype)
    assert label_bins(labels, step).tolist() == list(range(-300, 300))


def test_a_bin_holds_what_lies_above_its_edge() -> None:
    y = torch.from_numpy(np.random.default_rng(0).uniform(20, 80, 500))
    bins = label_bins(y, 2.5)
    assert ((bins * 2.5 <= y) & (y < (bins + 1) * 2.5)).all()


def test_whole_labels() -> None:
    assert label_bins(torch.tensor([-1, 0, 4, 5, 9, 10]), 5).tolist() == [-1, 0, 0, 1, 1, 2]
