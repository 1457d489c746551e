"""Values of the papers' equations, computed elsewhere; absent where the checkout has no `shared` beside it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrasweep.trainers import losses

ORACLES = Path(__file__).parents[4] / "shared" / "oracles"
SIZES = {"a": (0, 8, 16), "b": (1, 16, 32)}

if not (ORACLES / "loss_values.json").is_file():
    pytest.skip(f"no oracle values: {ORACLES} is absent", allow_module_level=True)

VALUES: dict[str, float] = json.loads((ORACLES / "loss_values.json").read_text())


def inputs(size: str) -> dict[str, np.ndarray]:
    spec = importlib.util.spec_from_file_location("oracle_inputs", ORACLES / "inputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn: dict[str, np.ndarray] = module.make_inputs(*SIZES[size])
    return drawn


def call_of(key: str) -> tuple[str, dict[str, Any], str]:
    """Loss, parameters and name of the labels that a key stands for; the schedule has ended by epoch 49."""
    loss, *parts = key.split("/")
    if loss == "supremix":
        labels, window, _, norm, weight, reduction = parts
        params = {"window": float(window.removeprefix("gamma").removesuffix("incl")), "renormalise": norm == "renorm"}
        return loss, {**params, "weight": weight.removeprefix("weight="), "reduction": reduction}, labels
    if loss == "rank_n_contrast":
        return loss, {"temperature": float(parts[0].removeprefix("t"))}, "y"
    sigma = {"sigma": float(parts[0].removeprefix("rbf"))}
    if loss != "dynlocrep":
        return loss, {**sigma, "reduction": parts[1]}, "y"
    rows = int(parts[2].removeprefix("k").split("_")[0])
    return loss, {**sigma, "distance": parts[1], "nn_final": rows // 2, "reduction": parts[3]}, "y"


@pytest.mark.parametrize("key", [key for key in VALUES if key.split("/")[0] in losses.names()])
def test_value_equals_the_oracle(key: str) -> None:
    name, size = key.split("@")
    loss, params, labels = call_of(name)
    drawn = inputs(size)
    z = torch.from_numpy(np.concatenate([drawn["z"][:, 0], drawn["z"][:, 1]]))
    y = torch.from_numpy(np.tile(drawn[labels], 2))
    value = losses.build(loss, **params)(z, y, epoch=49, views=2, mix_ratio=torch.from_numpy(drawn["lam"]))
    assert float(value) == pytest.approx(VALUES[key], rel=0, abs=1e-8)
