import math
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss  # type: ignore[import-untyped]
from pytorch_metric_learning.reducers import AvgNonZeroReducer  # type: ignore[import-untyped]

from contrasweep.trainers import losses
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)
TIED = (Y / 10).floor() * 10


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(("y", "bin_size"), [(TIED, None), (Y, 10.0)])
@pytest.mark.parametrize("rows", [8, 16], ids=["some without positives", "all with positives"])
def test_value_and_gradient_equal_metric_learning(
    temperature: float, y: torch.Tensor, bin_size: float | None, rows: int
) -> None:
    """Whose reducer leaves out anchors of value 0: here, those without positives."""
    z, z_theirs = Z[:rows].clone().requires_grad_(), Z[:rows].clone().requires_grad_()
    value = losses.build("supcon", temperature=temperature, bin_size=bin_size)(z, y[:rows])
    theirs = SupConLoss(temperature=temperature, reducer=AvgNonZeroReducer())(z_theirs, TIED[:rows])
    torch.testing.assert_close(value, theirs, rtol=0, atol=1e-10)
    value.backward()
    theirs.backward()
    torch.testing.assert_close(z.grad, z_theirs.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("views", [1, 2])
def test_is_supremix_without_mixtures_and_weight(views: int) -> None:
    settings: dict[str, Any] = {"mix_neg": False, "mix_pos": False, "weight": "none", "temperature": 0.1}
    value = losses.build("supcon")(Z, TIED, views=views)
    torch.testing.assert_close(value, losses.build("supremix", **settings)(Z, TIED, views=views), rtol=0, atol=1e-12)


def test_bins_hold_labels_from_their_floor_up() -> None:
    y = torch.tensor([-0.1, 0.0, 4.9, 5.0], dtype=torch.float64)
    z = torch.eye(4, dtype=torch.float64)
    loss = losses.build("supcon", bin_size=5.0, reduction="sum")
    assert float(loss(z, y)) == pytest.approx(2 * math.log(3))  # the two in the middle, each with three rows to tell


def test_no_two_of_a_label_give_zero() -> None:
    z = Z[:8].clone().requires_grad_()
    value = losses.build("supcon")(z, Y[:8])
    value.backward()
    assert value.item() == 0
    assert z.grad is not None and not z.grad.any()
