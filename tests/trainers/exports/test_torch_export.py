import json
from collections.abc import Callable
from pathlib import Path

import torch

from contrasweep.trainers.served import ServedConfig


def test_it_is_run_without_our_code_and_tells_how_scans_are_prepared(written: Callable[[str], Path]) -> None:
    files = {"contrasweep.json": ""}
    with written("torch-export").open("rb") as file:
        program = torch.export.load(file, extra_files=files)
    assert "trainers" not in program.graph_module.code
    told = json.loads(files["contrasweep.json"])
    assert [(one["name"], one["shape"]) for one in told["inputs"]] == [
        ("image", ["N", 1, 16, 16]),
        ("covariates", ["N", 3]),
    ]
    assert ServedConfig.model_validate(told["served"], strict=False).data.label == "age"
