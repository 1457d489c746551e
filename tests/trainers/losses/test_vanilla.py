import pytest
import torch

from trainers import losses
from trainers.errors import UserError


@pytest.mark.parametrize(("kind", "expected"), [("l1", (1 + 3) / 2), ("mse", (1 + 9) / 2), ("huber", (0.5 + 2.5) / 2)])
def test_value(kind: str, expected: float) -> None:
    loss = losses.build("vanilla", kind=kind)
    assert float(loss(torch.tensor([[30.0], [44.0]]), torch.tensor([31.0, 41.0]))) == pytest.approx(expected)


def test_predictions_are_one_column() -> None:
    with pytest.raises(UserError, match=r"z is torch.float32 \[4, 2\]; allowed: floating point \[N, 1\]"):
        losses.build("vanilla")(torch.zeros(4, 2), torch.zeros(4))
