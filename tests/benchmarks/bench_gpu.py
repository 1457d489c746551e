"""Volumes per second of pretraining's step on a GPU: `python tests/benchmarks/bench_gpu.py`.

3D ResNet-18 at 100^3, batches of 32 with two views, plain fp32 beside bf16 + channels_last_3d + compile, and the
share of the matrix-product rate that the same GPU reaches in bf16. Says so where there is no GPU.
"""

import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from contrasweep.trainers import encoders, losses

SIDE, BATCH, VIEWS, STEPS = 100, 32, 2, 10


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Mean seconds of a call, after three to warm up."""
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def matmul_rate(size: int = 8192) -> float:
    """Floating-point operations per second of a bf16 matrix product."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    return 2 * size**3 / seconds(lambda: a @ a, 20)


def step_of(*, fast: bool) -> Callable[[Tensor, Tensor], None]:
    """One step of DynLocRep: encoder, head, loss, backward, update."""
    torch.manual_seed(0)
    encoder = encoders.build("resnet18", image_shape=(1, SIDE, SIDE, SIDE))
    head = nn.Sequential(nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 128))
    network = nn.Sequential(encoder, head).cuda()
    if fast:
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    forward = torch.compile(network) if fast else network
    loss = losses.build("dynlocrep").cuda()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step(images: Tensor, y: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=fast):
            z = forward(images)
        loss(z, y, epoch=25, views=VIEWS).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the table."""
    console = Console()
    if not torch.cuda.is_available():
        console.print("no GPU here: nothing measured")
        return
    images = torch.randn(VIEWS * BATCH, 1, SIDE, SIDE, SIDE, device="cuda")
    y = torch.linspace(20, 80, BATCH, device="cuda").repeat(VIEWS)
    with FlopCounterMode(display=False) as counter:
        step_of(fast=False)(images, y)
    rate, operations = matmul_rate(), counter.get_total_flops()
    table = Table("step", "volumes/s", "share of the matrix-product rate", title=f"{rate / 1e12:.0f} Tflop/s in bf16")
    for title, fast in (("fp32", False), ("bf16, channels_last_3d, compile", True)):
        step = step_of(fast=fast)
        shape = images.to(memory_format=torch.channels_last_3d) if fast else images
        took = seconds(lambda step=step, shape=shape: step(shape, y), STEPS)  # type: ignore[misc]
        table.add_row(title, f"{VIEWS * BATCH / took:.0f}", f"{operations / took / rate:.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
