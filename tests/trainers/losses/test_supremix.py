import math
from typing import Any

import pytest
import torch

from contrasweep.trainers import losses
from contrasweep.trainers.losses import _mixtures, _windows
from tests.trainers.losses import plain
from tests.trainers.losses.conftest import labels

GENERATOR = torch.Generator().manual_seed(0)
Z = torch.randn(16, 6, generator=GENERATOR, dtype=torch.float64)
RATIO = torch.rand(16, 16, generator=GENERATOR, dtype=torch.float64)
Y = labels(8, 2)
TIED = (Y / 10).round() * 10


@pytest.mark.parametrize("y", [Y, TIED], ids=["continuous", "tied"])
@pytest.mark.parametrize("window", [8.0, 10.0, 30.0, math.inf])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"renormalise": False},
        {"weight": "relative", "mix_neg": False},
        {"weight": "none", "mix_pos": False},
        {"weight": "plain", "temperature": 0.07},
        {"mix_neg": False, "mix_pos": False},
    ],
    ids=str,
)
def test_value_and_gradient_equal_the_built_mixtures(y: torch.Tensor, window: float, params: dict[str, Any]) -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("supremix", window=window, **params)(z, y, views=2, mix_ratio=RATIO)
    expected = plain.supremix(z_plain, y, RATIO, window, **params)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("renormalise", [True, False])
def test_detached_mixtures_carry_no_gradient(renormalise: bool) -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    loss = losses.build("supremix", window=20.0, detach_mixtures=True, renormalise=renormalise)
    loss(z, Y, views=2, mix_ratio=RATIO).backward()
    plain.supremix(z_plain, Y, RATIO, 20.0, detach=True, renormalise=renormalise).backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("y", "bin_size"), [(Y, 5.0), (Y / 100, 0.1), (TIED, 1.0)], ids=["whole", "decimal", "none"])
def test_bins_are_the_labels_where_a_size_is_given(y: torch.Tensor, bin_size: float) -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("supremix", bin_size=bin_size, window=4 * bin_size)(z, y, views=2, mix_ratio=RATIO)
    expected = plain.supremix(z_plain, bin_size * (y / bin_size).floor(), RATIO, 4.01 * bin_size)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=0, atol=1e-10)


def test_window_in_ranks() -> None:
    value = losses.build("supremix", window=2, window_unit="rank")(Z, TIED, mix_ratio=RATIO)
    torch.testing.assert_close(value, plain.supremix(Z, TIED, RATIO, 2, rank=True))


def test_reference_is_strict_plain_raw_and_detached() -> None:
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = losses.build("supremix", window=10.0, variant="reference")(z, TIED, mix_ratio=RATIO)
    settings: dict[str, Any] = {"strict": True, "weight": "plain", "renormalise": False, "detach": True}
    expected = plain.supremix(z_plain, TIED, RATIO, 10.0, **settings)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decimal_labels_reach_the_end_of_the_window(dtype: torch.dtype) -> None:
    y = torch.tensor([0.1, 0.3, 0.5], dtype=dtype)
    loss = losses.build("supremix", window=0.2, weight="none")
    assert float(loss(Z[:3], y, mix_ratio=RATIO[:3, :3])) != 0


def test_labels_apart_by_rounding_alone() -> None:
    y = torch.tensor([0.3, 0.1 + 0.2, 0.5, 0.7, 0.9], dtype=torch.float64)
    z, ratio = Z[:5].float(), RATIO[:5, :5]
    value = losses.build("supremix", window=0.3)(z, y, mix_ratio=ratio)
    torch.testing.assert_close(value, plain.supremix(Z[:5], y, ratio, 0.3 + 1e-9).float())


def test_groups_are_separate_batches() -> None:
    group = (torch.arange(8) % 2).repeat(2)
    loss = losses.build("supremix", window=20.0, label_range=60.0, reduction="eq6")
    whole = loss(Z, Y, views=2, group=group, mix_ratio=RATIO)
    parts = [loss(Z[group == g], Y[group == g], views=2, mix_ratio=RATIO[group == g][:, group == g]) for g in (0, 1)]
    torch.testing.assert_close(whole, parts[0] + parts[1])


def test_an_anchor_without_positives_is_left_out() -> None:
    y = torch.tensor([20.0, 20.0, 90.0], dtype=torch.float64)
    value = losses.build("supremix")(Z[:3], y, mix_ratio=RATIO[:3, :3])
    torch.testing.assert_close(value, plain.supremix(Z[:3], y, RATIO[:3, :3], 5.0))


def test_small_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[torch.Tensor, torch.Tensor]:
        z = Z.clone().requires_grad_()
        value = losses.build("supremix", window=math.inf)(z, Y, views=2, mix_ratio=RATIO)
        return value, torch.autograd.grad(value, z)[0]

    expected = run()
    monkeypatch.setattr(_windows, "MAX_TRIPLES", 20)
    monkeypatch.setattr(_mixtures, "KEPT_BLOCKS", 3)
    torch.testing.assert_close(run(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 8.0), (8.0, 2.0), (0.5, 0.5)])
def test_mixing_ratios_are_beta_distributed(alpha: float, beta: float) -> None:
    ratios: torch.Tensor = losses.build("supremix", alpha=alpha, beta=beta).get_buffer("ratios")
    assert float(ratios.mean()) == pytest.approx(alpha / (alpha + beta), abs=1e-4)
    variance = alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1))
    assert float(ratios.var()) == pytest.approx(variance, rel=1e-3)


def test_draws_follow_the_global_seed() -> None:
    loss = losses.build("supremix")

    def draw(seed: int) -> float:
        torch.manual_seed(seed)
        return float(loss(Z, Y, views=2))

    assert draw(0) == draw(0) != draw(1)


def test_the_range_does_not_change_the_gradient_of_ratio_weights() -> None:
    def gradient(label_range: float | None) -> torch.Tensor:
        z = Z.clone().requires_grad_()
        losses.build("supremix", label_range=label_range)(z, Y, views=2, mix_ratio=RATIO).backward()
        assert z.grad is not None
        return z.grad

    torch.testing.assert_close(gradient(None), gradient(100.0))


def similarity_gradients(weight: str) -> torch.Tensor:
    """dL / ds_ib [2, negatives] for the two anchors of Theorem 3.1's test, from dL / dz_b = sum_i dL / ds_ib z_i.

    Mixtures are constants, so z_b acts through s_ib alone; what normalisation takes from dL / dz_b lies along z_b.
    """
    loss = losses.build("supremix", window=1.0, detach_mixtures=True, weight=weight)
    units = torch.nn.functional.normalize(Z[:6]).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(units, DISTANCE_MAGNIFYING, mix_ratio=RATIO[:6, :6]), units)
    anchors, negatives = units[:2].detach(), units[2:].detach()
    tangents = anchors - (negatives @ anchors.T)[:, :, None] * negatives[:, None, :]
    solved: torch.Tensor = torch.linalg.lstsq(tangents.mT, gradient[2:, :, None]).solution
    return solved.squeeze(2).T


DISTANCE_MAGNIFYING = torch.tensor([50.0, 50.0, 53.0, 60.0, 70.0, 20.0], dtype=torch.float64)
"""Labels of two anchors and four negatives, none of which has a positive."""


def test_the_weight_magnifies_distances() -> None:
    """Theorem 3.1 and Eq. 8: with w, a farther negative's gradient grows against a nearer one's by w' / w''."""
    with_weight, without = similarity_gradients("ratio"), similarity_gradients("none")
    assert (with_weight > 0).all() and (without > 0).all()
    weight = 1 + (DISTANCE_MAGNIFYING[2:] - 50).abs()
    magnified = (with_weight[:, :, None] / with_weight[:, None, :]) / (without[:, :, None] / without[:, None, :])
    torch.testing.assert_close(magnified, (weight[:, None] / weight[None, :]).expand_as(magnified))
    assert (magnified[:, weight[:, None] > weight[None, :]] > 1).all()


def lower_bound(y: torch.Tensor, window: float) -> float:
    """L* of Lemma 3.2 (Eq. 10): each anchor's positives p, real ones and Mix-pos, give p log(p / range) / k_m."""
    labels_of_rows = y.tolist()
    label_range, bound = max(labels_of_rows) - min(labels_of_rows), 0.0
    for label in labels_of_rows:
        same = labels_of_rows.count(label)
        lower = sum(0 < label - other <= window for other in labels_of_rows)
        upper = sum(0 < other - label <= window for other in labels_of_rows)
        positives = same - 1 + lower * upper
        bound += positives * math.log(positives / label_range) / same if positives else 0
    return bound


@pytest.mark.parametrize("y", [Y, TIED], ids=["continuous", "tied"])
@pytest.mark.parametrize("window", [5.0, 20.0, math.inf])
@pytest.mark.parametrize("temperature", [0.5, 5.0])
def test_the_loss_stays_above_its_lower_bound(y: torch.Tensor, window: float, temperature: float) -> None:
    loss = losses.build("supremix", window=window, temperature=temperature, reduction="eq6")
    for scatter in (0.0, 0.1, 1.0):
        z = torch.ones_like(Z) + scatter * Z
        assert float(loss(z, y, mix_ratio=RATIO)) > lower_bound(y, window)


def test_the_lower_bound_is_reached_by_ordered_embeddings() -> None:
    """Theorem 3.3: labels far apart along an arc, the middle one's Mix-pos on its own embedding."""
    y = torch.tensor([20.0, 40.0, 60.0], dtype=torch.float64).repeat(3)
    angle = (y - 20) * math.pi / 80
    z = torch.stack([angle.cos(), angle.sin()], 1)
    ratio = torch.full((9, 9), 0.2, dtype=torch.float64)
    loss = losses.build("supremix", window=20.0, temperature=0.01, reduction="eq6")
    assert float(loss(z, y, mix_ratio=ratio)) == pytest.approx(lower_bound(y, 20.0), abs=1e-5)
