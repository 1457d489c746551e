"""Time and memory of the losses on one thread: `python tests/benchmarks/bench_losses.py`.

The floor is one matrix product and one softmax of the same size, forward and backward.
"""

import math
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from contrasweep.trainers import losses

VIEWS, WIDTH, EPOCH = 2, 128, 25
SAMPLES = (128, 512)

SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "exponential": ("exponential", {}),
    "y_aware": ("y_aware", {}),
    "threshold": ("threshold", {}),
    "rank_n_contrast": ("rank_n_contrast", {}),
    "supcon": ("supcon", {}),
    "simclr": ("simclr", {}),
    "nnclr, queue 4096": ("nnclr", {"queue_size": 4096}),
    "adacon": ("adacon", {}),
    "dynlocrep cosine": ("dynlocrep", {"distance": "cosine"}),
    "dynlocrep manhattan": ("dynlocrep", {}),
    "dynlocrep manhattan, lam 1": ("dynlocrep", {"lam": 1.0}),
    "supremix, window 5": ("supremix", {}),
    "supremix, window inf": ("supremix", {"window": math.inf}),
}
SKIPPED = {("supremix, window inf", 512)}
"""180 million triples: tens of seconds, in the same memory."""

REFERENCES = {
    ("threshold", 128): "394",
    ("threshold", 512): "out of memory",
    ("rank_n_contrast", 128): "138",
    ("rank_n_contrast", 512): "3890",
    ("simclr", 128): "467",
    ("simclr", 512): "out of memory",
    ("dynlocrep manhattan", 128): "5.9",
    ("dynlocrep manhattan", 512): "85",
    ("supremix, window 5", 128): "10700",
    ("supremix, window 5", 512): "out of memory",
}
"""Milliseconds of public implementations on a CPU: the methods' authors', for simclr pytorch-metric-learning's."""


def floor(z: Tensor, y: Tensor) -> Tensor:
    """One matrix product and one softmax, reduced to a scalar."""
    return (z @ z.T / 0.1).softmax(1).square().sum()


def call_of(setting: str, z: Tensor, y: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a setting in the middle of its schedule, after one batch before."""
    name, params = SETTINGS[setting]
    loss = losses.build(name, **params)
    loss.remember(losses.Rows(z.detach(), y, EPOCH, VIEWS, None, None))
    return lambda z, y: loss(z, y, epoch=EPOCH, views=VIEWS)


def batch(samples: int) -> tuple[Tensor, Tensor]:
    """Embeddings [V * B, 128] and ages from 20 to 80 [V * B]."""
    torch.manual_seed(0)
    z = F.normalize(torch.randn(VIEWS * samples, WIDTH)).requires_grad_()
    return z, (20 + 60 * torch.rand(samples)).repeat(VIEWS)


def step(call: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> None:
    """One forward and backward pass."""
    z.grad = None
    call(z, y).backward()


def best_ms(call: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor, budget_s: float = 2.0) -> float:
    """Fastest of the passes that fit a time budget, at least three: the machine may be shared."""
    times: list[float] = []
    step(call, z, y)
    while len(times) < 3 or sum(times) < budget_s:
        start = time.perf_counter()
        step(call, z, y)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def extra_mb(call: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> float:
    """Highest sum of torch's live allocations in one pass, above those before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(call, z, y)
    results = profiler.profiler.kineto_results
    events = sorted((e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]")
    live = peak = 0
    for _, size in events:
        live += size
        peak = max(peak, live)
    return peak / 1e6


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    table = Table("loss", "samples x views", "ms", "x floor", "extra MB", "public code, ms")
    for samples in SAMPLES:
        z, y = batch(samples)
        floor_ms = best_ms(floor, z, y)
        table.add_row("floor", f"{samples} x {VIEWS}", f"{floor_ms:.2f}", "1.0", f"{extra_mb(floor, z, y):.1f}", "")
        for setting in SETTINGS:
            if (setting, samples) in SKIPPED:
                continue
            call = call_of(setting, z, y)
            ms, mb, public = best_ms(call, z, y), extra_mb(call, z, y), REFERENCES.get((setting, samples), "")
            table.add_row(setting, f"{samples} x {VIEWS}", f"{ms:.2f}", f"{ms / floor_ms:.1f}", f"{mb:.1f}", public)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
