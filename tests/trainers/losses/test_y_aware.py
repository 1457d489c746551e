import pytest
import torch

from contrasweep.trainers import losses
from tests.trainers.losses import plain
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)


@pytest.mark.parametrize("kernel", ["rbf", "cauchy", "triangular"])
@pytest.mark.parametrize("sigma", [2.0, 10.0])
def test_equals_the_plain_loops(kernel: str, sigma: float) -> None:
    value = losses.build("y_aware", kernel=kernel, sigma=sigma)(Z, Y, views=2)
    assert float(value) == pytest.approx(plain.y_aware(Z, Y, kernel=kernel, sigma=sigma), abs=1e-10)


def test_one_label_is_supcon() -> None:
    y = torch.full_like(Y, 50.0)
    torch.testing.assert_close(losses.build("y_aware")(Z, y), losses.build("supcon")(Z, y))


def test_an_anchor_without_positives_is_left_out_of_the_mean() -> None:
    y = torch.tensor([20.0, 21.0, 90.0], dtype=torch.float64)
    loss = losses.build("y_aware", kernel="triangular", sigma=5.0, reduction="sum")
    mean = losses.build("y_aware", kernel="triangular", sigma=5.0)
    torch.testing.assert_close(loss(Z[:3], y), 2 * mean(Z[:3], y))


def test_reference_differs_in_the_cauchy_kernel_alone() -> None:
    paper, reference = (losses.build("y_aware", sigma=10.0, variant=v)(Z, Y) for v in ("paper", "reference"))
    torch.testing.assert_close(reference, paper)
    authors = losses.build("y_aware", kernel="cauchy", sigma=4.0, variant="reference")(Z, Y)
    torch.testing.assert_close(authors, losses.build("y_aware", kernel="cauchy", sigma=0.5)(Z, Y))
