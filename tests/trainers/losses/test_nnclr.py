from typing import Any, cast

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import losses
from contrasweep.trainers.losses.base import Rows
from tests.trainers.losses.conftest import labels

Z = torch.randn(12, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PAST = torch.randn(3, 10, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = labels(6, 2)


def build(**params: Any) -> losses.Loss:
    torch.manual_seed(0)
    return losses.build("nnclr", **{"hidden": 8, "queue_size": 100, "width": 6, **params})


def rows(z: Tensor, group: Tensor | None = None) -> Rows:
    return Rows(z, torch.zeros(len(z)), 0, 2, group, None)


def predict(loss: losses.Loss, z: Tensor) -> Tensor:
    """The prediction head with torch's own modules."""
    weights = {key.removeprefix("head."): value.double() for key, value in loss.state_dict().items() if "head" in key}
    x = z @ weights["first.weight"].T
    x = torch.nn.functional.batch_norm(x, None, None, weights["scale"], weights["shift"], training=True)
    return cast(Tensor, x.relu() @ weights["last.weight"].T + weights["last.bias"])


def nnclr(loss: losses.Loss, z: Tensor, entries: Tensor, temperature: float = 0.1) -> Tensor:
    """One view's neighbours against the other's predictions, sample by sample; `entries` [Q, D] are the queue."""
    p = torch.stack([row / row.norm() for row in predict(loss, z)])
    z = torch.stack([row / row.norm() for row in z])
    samples, terms = len(z) // 2, []
    for first, second in ((0, samples), (samples, 0)):
        for i in range(samples):
            distances = [float((z[first + i] - entry).norm().detach()) for entry in entries]
            neighbour = entries[distances.index(min(distances))] if len(entries) else z[first + i]
            scores = [(neighbour @ p[second + k] / temperature).exp() for k in range(samples)]
            terms.append(-(scores[i] / torch.stack(scores).sum()).log())
    return torch.stack(terms).mean()


def units(z: Tensor) -> Tensor:
    return torch.stack([row / row.norm() for row in z])


@pytest.mark.parametrize("batches", [0, 1, 3])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_value_and_gradient_equal_the_loop(batches: int, temperature: float) -> None:
    loss = build(temperature=temperature)
    for past in PAST[:batches]:
        loss.remember(rows(past.float()))
    entries = units(PAST[:batches, :5].flatten(0, 1).float()).double() if batches else Z[:0]
    z, z_plain = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    value = loss(z, Y, views=2)
    expected = nnclr(loss, z_plain, entries, temperature)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    value.backward()
    expected.backward()
    torch.testing.assert_close(z.grad, z_plain.grad, rtol=1e-5, atol=1e-7)


def test_computing_remembers_nothing() -> None:
    loss = build()
    loss.remember(rows(PAST[0].float()))
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    assert torch.equal(loss(Z, Y, views=2), loss(Z, Y, views=2))
    assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())


def test_the_queue_is_a_ring() -> None:
    loss = build(queue_size=12)
    for past in PAST:
        loss.remember(rows(past.float()))
    latest = units(PAST[:, :5].flatten(0, 1).float())[-12:]
    held = loss.get_buffer("queue.rows")
    assert held.shape == (12, 6)
    assert {tuple(row) for row in held.tolist()} == {tuple(row) for row in latest.tolist()}


def test_a_batch_larger_than_the_queue_leaves_its_last_samples() -> None:
    loss = build(queue_size=3)
    for past in PAST:
        loss.remember(rows(past.float()))
    held = loss.get_buffer("queue.rows")
    assert {tuple(row) for row in held.tolist()} == {tuple(row) for row in units(PAST[2, 2:5].float()).tolist()}


def test_a_queue_is_never_longer_than_the_training_split() -> None:
    assert build(train_labels=[50.0] * 20).get_buffer("queue.rows").shape == (20, 6)
    assert build(train_labels=[50.0] * 200).get_buffer("queue.rows").shape == (100, 6)


def test_neighbours_come_from_the_own_group() -> None:
    loss, other = build(), build()
    own, foreign = units(PAST[0].float()), units(Z[:6].float())
    loss.remember(rows(torch.cat([own, own]), torch.zeros(20, dtype=torch.int64)))
    other.load_state_dict(loss.state_dict())
    # the nearest of all entries, the rows themselves, are of a group that is not theirs
    loss.remember(rows(torch.cat([foreign, foreign]), 7 * torch.ones(12, dtype=torch.int64)))
    group = torch.zeros(12, dtype=torch.int64)
    assert torch.equal(loss(Z, Y, views=2, group=group), other(Z, Y, views=2, group=group))
    assert not torch.equal(loss(Z, Y, views=2, group=group + 7), loss(Z, Y, views=2, group=group))


def test_a_group_without_entries_is_its_own_neighbour() -> None:
    loss = build()
    alone = loss(Z, Y, views=2, group=torch.ones(12, dtype=torch.int64))
    loss.remember(rows(PAST[0].float(), torch.zeros(10, dtype=torch.int64)))
    assert torch.equal(loss(Z, Y, views=2, group=torch.ones(12, dtype=torch.int64)), alone)


def test_groups_are_separate_batches() -> None:
    loss, group = build(reduction="sum"), torch.tensor([0, 0, 0, 1, 1, 1]).repeat(2)
    parts = [loss(Z[group == g], Y[group == g], views=2) for g in (0, 1)]
    torch.testing.assert_close(loss(Z, Y, views=2, group=group), parts[0] + parts[1])


def test_a_sample_alone_in_its_group_is_left_out() -> None:
    loss, group = build(), torch.tensor([0, 0, 0, 0, 0, 1]).repeat(2)
    torch.testing.assert_close(
        loss(Z, Y, views=2, group=group), loss(Z[group == 0], Y[group == 0], views=2), rtol=1e-12, atol=0
    )


def test_state_travels() -> None:
    trained, fresh = build(), losses.build("nnclr", hidden=8, queue_size=100, width=6)
    trained.remember(rows(PAST[0].float()))
    assert not torch.equal(fresh(Z, Y, views=2), trained(Z, Y, views=2))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh(Z, Y, views=2), trained(Z, Y, views=2))
    for loss in (fresh, trained):
        loss.remember(rows(PAST[1].float()))
    assert torch.equal(fresh(Z, Y, views=2), trained(Z, Y, views=2))


def test_without_a_width_nothing_is_made_before_it_is_needed() -> None:
    loss, again = losses.build("nnclr"), losses.build("nnclr")
    assert not list(loss.parameters()) and not list(loss.buffers())
    before = torch.get_rng_state()
    value = loss(Z, Y, views=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again(Z, Y, views=2), value)
    assert not list(loss.buffers())
    loss.remember(rows(PAST[0].float()))
    assert loss.get_buffer("queue.rows").shape == (98304, 6)


def test_the_head_is_trained() -> None:
    loss = build(temperature=0.2)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-2)
    values = []
    for _ in range(30):
        value = loss(Z, Y, views=2)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0] / 2
    assert all(parameter.grad is not None for parameter in loss.parameters())


@pytest.mark.parametrize("samples", [1, 2])
def test_few_identical_rows(samples: int) -> None:
    loss = build()
    loss.remember(rows(PAST[0].float()))
    z = torch.ones(2 * samples, 6, requires_grad=True)
    value = loss(z, torch.zeros(2 * samples), views=2)
    assert torch.isfinite(value)
    assert torch.autograd.grad(value, z)[0].isfinite().all()
