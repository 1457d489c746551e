import subprocess
import sys
from itertools import product

import torch

from contrasweep.trainers.seeding import fold


def test_the_same_in_another_process() -> None:
    code = "from contrasweep.trainers.seeding import fold; print(fold(3, 'weights', 7))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == fold(3, "weights", 7)


def test_every_part_and_its_place_count() -> None:
    seeds = {fold(*parts) for parts in product(range(10), repeat=3)}
    seeds |= {fold(*parts) for parts in product(range(10), repeat=2)} | {fold("1", 2, 3), fold(12, 3), fold(1, 23)}
    assert len(seeds) == 1000 + 100 + 3


def test_torch_takes_it() -> None:
    seeds = [fold(part) for part in range(1000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert sum(seed >> 62 for seed in seeds) > 400, "the highest bit is used"
    torch.Generator().manual_seed(max(seeds))
