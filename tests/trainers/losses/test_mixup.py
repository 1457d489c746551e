"""Mixup at the input: what a mixture is, who is mixed with whom, and two workers against one."""

from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch import distributed as dist
from torch.multiprocessing.spawn import spawn

from contrasweep.trainers import losses
from contrasweep.trainers.distributed import gather_views, own_rows, rank, world_size
from contrasweep.trainers.losses import Samples
from contrasweep.trainers.losses.mixup import Mixup

SAMPLES, VIEWS, WORKERS = 8, 2, 2
METHODS = {"mixup": {}, "c_mixup": {"bandwidth": 10.0}}
BOTH = pytest.mark.parametrize("name", METHODS)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Images [V * B, 1, B] that are one-hot in the sample and weighed by the view, labels and groups."""
    images = torch.cat([(view + 1) * torch.eye(SAMPLES)[:, None] for view in range(VIEWS)])
    y = (20 + 5 * torch.arange(SAMPLES, dtype=torch.float64)).repeat(VIEWS)
    return images, y, (torch.arange(SAMPLES) % 2).repeat(VIEWS)


def mixture(name: str, *, seed: int = 0, grouped: bool = False) -> tuple[Tensor, Tensor]:
    """Shares [V, B, B] of each sample in each mixed row, in units of the view, and the mixed labels [V * B]."""
    images, y, group = batch()
    torch.manual_seed(seed)
    samples = Samples(images, y, None)
    mixed, labels, _ = losses.build(name, **METHODS[name]).mix(samples, group if grouped else None, VIEWS)
    shares = mixed.reshape(VIEWS, SAMPLES, SAMPLES) / torch.arange(1.0, VIEWS + 1)[:, None, None]
    return shares, labels


@BOTH
def test_images_and_labels_are_mixed_alike(name: str) -> None:
    shares, labels = mixture(name)
    torch.testing.assert_close(shares.sum(2), torch.ones(VIEWS, SAMPLES))
    assert ((shares > 0).sum(2) <= 2).all()
    ages = batch()[1][:SAMPLES]
    torch.testing.assert_close(labels, (shares.double() @ ages).flatten(), rtol=1e-6, atol=0)


@BOTH
def test_views_of_a_sample_have_one_partner(name: str) -> None:
    shares, labels = mixture(name, seed=1)
    torch.testing.assert_close(shares[0], shares[1])
    assert torch.equal(labels[:SAMPLES], labels[SAMPLES:])


@BOTH
def test_covariates_are_mixed_as_labels_are(name: str) -> None:
    images, y, _ = batch()
    torch.manual_seed(3)
    _, labels, covariates = losses.build(name, **METHODS[name]).mix(Samples(images, y, y[:, None] * 2), None, VIEWS)
    assert covariates is not None
    torch.testing.assert_close(covariates[:, 0], 2 * labels)


@BOTH
def test_one_ratio_for_a_batch(name: str) -> None:
    shares, _ = mixture(name, seed=2)
    own = shares[0].diagonal()[shares[0].diagonal() < 1]
    assert len(own) > 2
    torch.testing.assert_close(own, own[:1].expand_as(own))


@BOTH
def test_partners_are_of_the_same_group(name: str) -> None:
    across = (torch.arange(SAMPLES)[:, None] - torch.arange(SAMPLES)) % 2 == 1
    for seed in range(10):
        shares, _ = mixture(name, seed=seed, grouped=True)
        assert not shares[0][across].any()


def test_ratios_follow_the_beta_distribution() -> None:
    loss = losses.build("mixup", alpha=0.7)
    samples = Samples(torch.eye(2)[:, None], torch.tensor([0.0, 1.0]), None)
    torch.manual_seed(0)
    drawn = [float(loss.mix(samples, torch.tensor([0, 0]), 1).y[1]) for _ in range(2000)]
    # A sample is its own partner in half of the draws; in the others its label 1 is mixed with 0.
    ratios = [ratio for ratio in drawn if ratio < 1]
    assert 900 < len(ratios) < 1100
    assert stats.kstest(ratios, stats.beta(0.7, 0.7).cdf).pvalue > 0.01


def test_mixup_draws_partners_evenly() -> None:
    loss = Mixup()
    torch.manual_seed(0)
    drawn = torch.stack([loss.partners(torch.arange(5.0), None, 1) for _ in range(2000)])
    counts = torch.stack([(drawn == other).sum(0) for other in range(5)], 1)
    assert stats.chisquare(counts.flatten().numpy()).pvalue > 0.01


def mixed_and_gathered() -> dict[str, dict[str, Tensor]]:
    """The global batch of mixtures, from this worker's run of the samples."""
    share = SAMPLES // world_size()
    mine = slice(rank() * share, (rank() + 1) * share)
    images, y, group = (part.unflatten(0, (VIEWS, -1))[:, mine].flatten(0, 1) for part in batch())
    gathered = {}
    for name, params in METHODS.items():
        torch.manual_seed(5)
        mixed, labels, _ = losses.build(name, **params).mix(Samples(images, y, None), group, VIEWS)
        gathered[name] = {"images": gather_views(mixed, VIEWS), "y": gather_views(labels, VIEWS)}
    assert torch.equal(own_rows(gather_views(images, VIEWS), VIEWS), images)
    return gathered


def work(worker: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=worker, world_size=WORKERS)
    torch.save(mixed_and_gathered(), f"{folder}/{worker}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_workers_mix_as_one(tmp_path: Path) -> None:
    spawn(work, args=(str(tmp_path),), nprocs=WORKERS)
    alone = mixed_and_gathered()
    assert not any(torch.equal(mixed["images"], batch()[0]) for mixed in alone.values())
    for worker in range(WORKERS):
        torch.testing.assert_close(torch.load(tmp_path / f"{worker}.pt"), alone, rtol=0, atol=0)
