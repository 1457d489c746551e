"""A sweep whose configurations differ in more than a loss's parameters, for real."""

import io
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from rich.console import Console

from services.records.final_report import FinalReport
from services.records.folder import FINISHED
from services.records.trial_record import read_records
from services.sweep.run import run_sweep
from services.verbs.local import Local
from tests.services.small_study import settings_in, write_study
from trainers import checkpoint

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

SEARCH: dict[str, Any] = {
    "spaces": ["exponential", "vanilla"],
    "trials": 6,
    "seeds": [0, 1],
    "parallel": 2,
    "racing": None,
    "choices": {
        "net": {"narrow": {}, "wide": {"model": {"width": 0.125}}},
        "batch": {"16": {}, "24": {"training": {"batch_size": 24}}},
    },
    "choices_for": {"batch": ["exponential"]},
    "points": [{"name": "wide vanilla", "method": "vanilla", "choices": {"net": "wide"}}],
}


def test_a_sweep_over_encoders_and_batch_sizes(tmp_path: Path, ray_local: None) -> None:
    loaded, settings = write_study(tmp_path, search=SEARCH), settings_in(tmp_path / "home")
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    storage = Path(settings.storage_path) / loaded.sweep_id
    records = read_records(storage, loaded.spec.plan)
    assert [(r.configuration.method, r.configuration.choices) for r in records[:3]] == [
        ("vanilla", {"net": "wide"}),
        ("exponential", {"net": "narrow", "batch": "16"}),
        ("vanilla", {"net": "narrow"}),
    ]
    sizes = {
        record.configuration.choices["net"]: sum(
            value.numel()
            for value in checkpoint.load(storage / f"trial-{record.number:04d}/seed-0/best.pt")["model"].values()
        )
        for record in records
    }
    assert sizes["wide"] > 2 * sizes["narrow"]
    report = FinalReport.read(settings.sweeps / loaded.sweep_id / "final.json")
    assert report.choices == next(r.configuration.choices for r in records if r.number == report.trial)
    (best, *_) = Local(settings).trials(loaded.sweep_id)
    assert best.params["net"] in ("narrow", "wide")
    page = (settings.reports / f"{loaded.sweep_id}.html").read_text()
    assert "wide" in page
    model = mlflow.pyfunc.load_model(str(settings.sweeps / loaded.sweep_id / "model"))
    assert model.predict(np.zeros((2, 1, 16, 16), dtype=np.float32)).shape == (2,)
