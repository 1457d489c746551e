"""What every registered loss must do; a new loss inherits all of it."""

import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from tests.trainers.losses.conftest import embeddings, labels, small


def fields(*candidates: str) -> list[tuple[str, str]]:
    """Each loss with those of the candidates that are parameters of it."""
    parameters = {name: inspect.signature(losses.get(name)).parameters for name in losses.names()}
    return [(name, field) for name in losses.names() for field in candidates if field in parameters[name]]


def assert_finite(loss: losses.Loss, z: Tensor, y: Tensor, **call: Any) -> Tensor:
    value = loss(z, y, **call)
    assert value.shape == ()
    assert torch.isfinite(value)
    (gradient,) = torch.autograd.grad(value, z)
    assert torch.isfinite(gradient).all()
    return gradient


@pytest.mark.parametrize("samples", [2, 3, 16])
@pytest.mark.parametrize("epoch", [0, 5, 9])
def test_value_and_gradient_are_finite(name: str, views: int, samples: int, epoch: int) -> None:
    loss = small(name)
    assert_finite(loss, embeddings(loss, samples * views), labels(samples, views), epoch=epoch, views=views)


def test_defaults_train(name: str, views: int) -> None:
    loss = losses.build(name)
    ages = labels(32, views).floor()  # some samples share one
    gradient = assert_finite(loss, embeddings(loss, 32 * views), ages, epoch=3, views=views)
    assert gradient.any() or views < loss.min_views


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_identical_rows(name: str, views: int, fill: float) -> None:
    loss = small(name)
    z = torch.full_like(embeddings(loss, 8 * views), fill).requires_grad_()
    assert_finite(loss, z, labels(8, views), epoch=9, views=views)


def test_opposite_rows(name: str) -> None:
    loss = small(name)
    half = embeddings(loss, 6, dtype=torch.float32)
    z = torch.cat([half, -half]).detach().requires_grad_()
    assert_finite(loss, z, labels(12, 1), epoch=9)


def test_one_unique_label(name: str, views: int) -> None:
    loss = small(name)
    assert_finite(loss, embeddings(loss, 8 * views), labels(8, views) * 0 + 50, epoch=9, views=views)


@pytest.mark.parametrize("samples", [1, 2])
def test_one_row_and_one_pair(name: str, samples: int) -> None:
    loss = small(name)
    assert_finite(loss, embeddings(loss, samples), labels(samples, 1), epoch=9)


def test_far_labels(name: str) -> None:
    loss = small(name)
    assert_finite(loss, embeddings(loss, 6, dtype=torch.float32), torch.tensor([0, 1e3, 2e3, 4e3, 8e3, 1e5]), epoch=9)


def test_integer_labels(name: str) -> None:
    loss = small(name)
    z, y = embeddings(loss, 6), torch.tensor([20, 30, 30, 40, 50, 60])
    value = loss(z, y, mix_ratio=torch.full((6, 6), 0.2))
    torch.testing.assert_close(value, loss(z, y.double(), mix_ratio=torch.full((6, 6), 0.2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_under_autocast(name: str, dtype: torch.dtype) -> None:
    loss = small(name)
    z, y = embeddings(loss, 16, dtype=dtype), labels(8, 2)
    ratio = torch.full((16, 16), 0.2)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(z, y, views=2, mix_ratio=ratio)
        assert_finite(loss, z, y, views=2)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(z.float(), y, views=2, mix_ratio=ratio))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_large_embeddings(name: str, dtype: torch.dtype) -> None:
    loss = small(name)
    unit = torch.nn.functional.normalize(embeddings(loss, 16, dtype=torch.float32))
    assert_finite(loss, (1e4 * unit).to(dtype).detach().requires_grad_(), labels(8, 2), epoch=9, views=2)


def test_order_of_the_samples_does_not_matter(name: str, views: int) -> None:
    loss, samples = small(name), 10
    z, y, ratio = (
        embeddings(loss, samples * views),
        labels(samples, views),
        torch.rand(samples * views, samples * views),
    )
    order = torch.cat([torch.randperm(samples, generator=torch.Generator().manual_seed(2))] * views)
    order += samples * torch.arange(views).repeat_interleave(samples)
    group = (torch.arange(samples) % 2).repeat(views)
    expected = loss(z, y, epoch=5, views=views, group=group, mix_ratio=ratio)
    value = loss(z[order], y[order], epoch=5, views=views, group=group[order], mix_ratio=ratio[order][:, order])
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


def test_gradient_matches_finite_differences(name: str, views: int) -> None:
    loss = small(name)
    rows = 5 * views
    z, y, ratio = embeddings(loss, rows), labels(5, views), torch.rand(rows, rows, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, y, epoch=5, views=views, mix_ratio=ratio), z)


def test_groups_never_mix(name: str, views: int) -> None:
    loss = small(name)
    y, ratio = labels(10, views), torch.full((10 * views, 10 * views), 0.2, dtype=torch.float64)
    group = (torch.arange(10) % 2).repeat(views)
    first = group == 0

    def gradient_of_first(seed: int) -> Tensor:
        z = torch.where(first[:, None], embeddings(loss, len(y)), embeddings(loss, len(y), seed=seed))
        z = z.detach().requires_grad_()
        return assert_finite(loss, z, y, epoch=5, views=views, group=group, mix_ratio=ratio)[first]

    torch.testing.assert_close(gradient_of_first(2), gradient_of_first(3), rtol=1e-10, atol=1e-12)


def test_a_group_of_one_is_left_out(name: str) -> None:
    loss = small(name)
    assert_finite(loss, embeddings(loss, 5), labels(5, 1), epoch=5, group=torch.tensor([0, 0, 1, 1, 2]))


@pytest.mark.parametrize("name", [name for name, _ in fields("temperature")])
def test_rows_without_any_pair_do_not_drag_the_mean(name: str) -> None:
    loss = small(name)
    views = loss.min_views
    z, ages = embeddings(loss, 9 * views), (labels(9, views) / 10).floor() * 10
    ages[8::9] = ages[:8].median()
    group = torch.zeros(9 * views, dtype=torch.int64)
    group[8::9] = torch.arange(1, views + 1)
    paired = group == 0
    ratio = torch.full((9 * views, 9 * views), 0.2, dtype=torch.float64)
    value = loss(z, ages, epoch=9, views=views, group=group, mix_ratio=ratio)
    alone = loss(z[paired], ages[paired], epoch=9, views=views, mix_ratio=ratio[paired][:, paired])
    assert alone != 0
    torch.testing.assert_close(value, alone, rtol=1e-12, atol=0)
    assert not torch.autograd.grad(value, z)[0][~paired].any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_labels_must_be_finite_where_they_are_read(name: str, bad: float) -> None:
    loss = small(name)
    views = loss.min_views
    y = labels(4, views)
    z = embeddings(loss, len(y))
    if not loss.needs_labels:
        assert torch.equal(loss(z, torch.full_like(y, bad), views=views), loss(z, y, views=views))
        return
    y[1] = bad
    with pytest.raises(UserError, match="y has 1 labels that are not finite"):
        loss(z, y, views=views)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"y": torch.zeros(3)}, r"y has shape \[3\]; allowed with 4 rows of z: \[4\]"),
        ({"y": torch.zeros(4, 1)}, r"y has shape \[4, 1\]"),
        ({"z": torch.zeros(4)}, r"z is torch.float32 \[4\]; allowed: floating point"),
        ({"z": torch.zeros(4, 1, dtype=torch.int64)}, r"z is torch.int64"),
        ({"group": torch.zeros(2)}, r"group has shape \[2\]"),
        ({"mix_ratio": torch.zeros(2, 2)}, r"mix_ratio has shape \[2, 2\]; allowed with 4 rows of z: \[4, 4\]"),
        ({"views": 3}, "views is 3; allowed: a divisor of the 4 rows"),
        ({"views": 0}, "views is 0"),
    ],
)
def test_wrong_shapes_are_refused(name: str, call: dict[str, Any], message: str) -> None:
    loss = small(name)
    with pytest.raises(UserError, match=f"loss '{name}': {message}"):
        loss(**{"z": embeddings(loss, 4), "y": labels(4, 1), **call})


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, "warm", True])
@pytest.mark.parametrize(
    ("name", "field"), fields("temperature", "sigma", "window", "alpha", "beta", "bin_size", "label_range")
)
def test_numbers_that_must_be_positive(name: str, field: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"loss '{name}': {field} is {value!r}; allowed: numbers (above 0|from 0.001)"):
        losses.build(name, **{field: value})


@pytest.mark.parametrize(
    ("name", "field"), fields("temperature", "sigma", "alpha", "beta", "bin_size", "label_range", "bend", "bandwidth")
)
def test_only_windows_and_exponents_have_no_end(name: str, field: str) -> None:
    with pytest.raises(UserError, match=rf"loss '{name}': {field} is inf; allowed: numbers (above 0|from 0.001)"):
        losses.build(name, **{field: math.inf})


@pytest.mark.parametrize(
    ("name", "field"),
    fields("mix_neg", "mix_pos", "renormalise", "detach_mixtures", "norm_patches"),
)
def test_words_are_not_true_or_false(name: str, field: str) -> None:
    with pytest.raises(UserError, match=rf"loss '{name}': {field} is 'no'; allowed: true, false"):
        losses.build(name, **{field: "no"})


@pytest.mark.parametrize(
    ("name", "field"), fields("kernel", "distance", "weight", "window_unit", "reduction", "variant", "kind", "on")
)
def test_unknown_choices_are_refused(name: str, field: str) -> None:
    with pytest.raises(UserError, match=f"loss '{name}': unknown {field} 'nonsense'; .*allowed: "):
        losses.build(name, **{field: "nonsense"})


def test_probe_features_are_declared(name: str) -> None:
    assert losses.build(name).features in ("projection", "encoder")
