"""Inputs of the loss tests. A new loss is tested with its defaults; SMALL holds what a tiny batch asks of one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from contrasweep.trainers import losses

SMALL: dict[str, dict[str, Any]] = {
    "adacon": {"train_labels": list(range(20, 80))},
    "dynlocrep": {"nn_final": 1, "max_epochs": 10},
    "supremix": {"window": 20.0},
}


def small(name: str, **params: Any) -> losses.Loss:
    """The loss `name`, fit for batches from two samples up."""
    return losses.build(name, **{**SMALL.get(name, {}), **params})


def embeddings(loss: losses.Loss, rows: int, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Seeded embeddings [rows, D], as wide as the loss asks for."""
    generator = torch.Generator().manual_seed(seed)
    width = loss.columns or 6
    return torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def labels(samples: int, views: int, *, seed: int = 1) -> Tensor:
    """Seeded ages [views * samples], the views of a sample sharing one."""
    generator = torch.Generator().manual_seed(seed)
    return (20 + 60 * torch.rand(samples, generator=generator, dtype=torch.float64)).repeat(views)


@pytest.fixture(params=losses.names())
def name(request: pytest.FixtureRequest) -> str:
    """Every registered loss in turn."""
    return str(request.param)


@pytest.fixture(params=[1, 2])
def views(request: pytest.FixtureRequest) -> int:
    """One view and two."""
    return int(request.param)
