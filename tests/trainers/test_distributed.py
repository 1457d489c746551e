"""Two real gloo processes and one give the same gradients for the same global batch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from contrasweep.trainers import losses
from contrasweep.trainers.distributed import gather_rows, gather_views, rank, world_size

SAMPLES, VIEWS, WORKERS, EPOCH = 8, 2, 2, 6
CASES = {
    name: losses.build(name, **params)
    for name, params in {
        **{name: {} for name in losses.names()},
        "dynlocrep": {"nn_final": 2, "max_epochs": 10, "lam": 1.0},
        "supremix": {"window": 20.0},
    }.items()
}


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Images [V, B, 5], labels [V, B] and groups [V, B] of the global batch."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(VIEWS, SAMPLES, 5, generator=generator, dtype=torch.float64)
    y = 20 + 60 * torch.rand(SAMPLES, generator=generator, dtype=torch.float64)
    return x, y.expand(VIEWS, -1), (torch.arange(SAMPLES) % 2).expand(VIEWS, -1)


def model_for(loss: losses.Loss) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1 if loss.end_to_end else 4)).double()


def gradients(loss: losses.Loss, *, grouped: bool) -> list[Tensor]:
    """Gradients of the model's parameters on this worker, whose samples are a run of the global batch."""
    model = model_for(loss)
    replica = DistributedDataParallel(model) if world_size() > 1 else model
    share = SAMPLES // world_size()
    mine = slice(rank() * share, (rank() + 1) * share)
    x, y, group = (tensor[:, mine].flatten(0, 1) for tensor in inputs())
    z, y, group = (gather_views(tensor, VIEWS) for tensor in (replica(x), y, group))
    torch.manual_seed(EPOCH)
    loss(z, y, epoch=EPOCH, views=VIEWS, group=group if grouped else None).backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def every_gradient() -> dict[str, list[Tensor]]:
    cases = [(name, grouped) for name in CASES for grouped in (False, True)]
    return {f"{name}, grouped={grouped}": gradients(CASES[name], grouped=grouped) for name, grouped in cases}


def gathered() -> dict[str, Tensor]:
    mine = torch.tensor([[10 * rank()], [10 * rank() + 1], [10 * rank() + 2], [10 * rank() + 3]])
    return {"rows": gather_rows(mine), "views": gather_views(mine, VIEWS)}


def work(worker: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=worker, world_size=WORKERS)
    torch.save({"gradients": every_gradient(), "gathered": gathered()}, f"{folder}/{worker}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two workers computed."""
    folder: Path = tmp_path_factory.mktemp("workers")
    spawn(work, args=(str(folder),), nprocs=WORKERS)
    return [torch.load(folder / f"{worker}.pt") for worker in range(WORKERS)]


@pytest.mark.distributed
def test_two_workers_have_the_gradients_of_one(workers: list[dict[str, dict[str, Tensor]]]) -> None:
    alone = every_gradient()
    assert all(any(gradient.any() for gradient in case) for case in alone.values())
    for worker in workers:
        torch.testing.assert_close(worker["gradients"], alone, rtol=0, atol=1e-9)


@pytest.mark.distributed
def test_rows_come_in_rank_order_and_views_one_after_the_other(workers: list[dict[str, dict[str, Tensor]]]) -> None:
    for worker in workers:
        assert worker["gathered"]["rows"].flatten().tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
        assert worker["gathered"]["views"].flatten().tolist() == [0, 1, 10, 11, 2, 3, 12, 13]


def test_one_worker_gathers_nothing() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    assert gather_rows(x) is x
    torch.testing.assert_close(gather_views(x, 2), x)
    assert (rank(), world_size()) == (0, 1)
