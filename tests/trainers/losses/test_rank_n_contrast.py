import pytest
import torch

from contrasweep.trainers import losses
from contrasweep.trainers.losses._ranked import running_logsumexp
from tests.trainers.losses import plain
from tests.trainers.losses.conftest import labels

Z = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = labels(8, 2)
TIED = (Y / 10).round() * 10


@pytest.mark.parametrize("y", [Y, TIED, TIED.long()], ids=["continuous", "tied", "whole"])
@pytest.mark.parametrize("temperature", [2.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_value_and_gradient_equal_the_plain_loops(y: torch.Tensor, temperature: float, scale: float) -> None:
    z, z_plain = (scale * Z).requires_grad_(), (scale * Z).requires_grad_()
    value = losses.build("rank_n_contrast", temperature=temperature)(z, y, views=2)
    expected = plain.rank_n_contrast(z_plain, y, temperature)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-8, atol=1e-9)


def test_bins_are_the_labels_where_a_size_is_given() -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("rank_n_contrast", bin_size=0.1)(z, Y / 100, views=2)
    expected = plain.rank_n_contrast(z_plain, (Y / 10).floor())
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-8, atol=1e-9)


def test_embeddings_that_coincide_push_nobody() -> None:
    z = torch.ones(4, 3, requires_grad=True)
    value = losses.build("rank_n_contrast")(z, torch.tensor([20.0, 30.0, 40.0, 50.0]))
    value.backward()
    sizes = torch.tensor([[1, 2, 3], [3, 3, 1], [3, 3, 1], [1, 2, 3]])  # rows at least as far as each pair's
    torch.testing.assert_close(value, sizes.log().mean())
    assert z.grad is not None and not z.grad.any()


def test_groups_are_separate_batches() -> None:
    group = (torch.arange(8) % 2).repeat(2)
    loss = losses.build("rank_n_contrast", reduction="sum")
    parts = [loss(Z[group == g], Y[group == g], views=2) for g in (0, 1)]
    torch.testing.assert_close(loss(Z, Y, views=2, group=group), parts[0] + parts[1])


def test_reads_the_encoder_unless_told_otherwise() -> None:
    assert losses.build("rank_n_contrast").reads == "encoder"
    assert losses.build("rank_n_contrast", on="projection").reads == "projection"


@pytest.mark.parametrize("columns", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_running_sums(columns: int, scale: float) -> None:
    x = scale * torch.randn(4, columns, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(running_logsumexp(x), x.logcumsumexp(1))
