"""A sweep whose configurations differ in more than a loss's parameters, for real."""

import io
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from rich.console import Console

from contrasweep.services.data.prepare import find_prepared_each
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from contrasweep.trainers import checkpoint
from tests.services.small_study import settings_in, write_study

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


DATA: dict[str, Any] = {
    "spaces": ["exponential", "vanilla"],
    "trials": 9,
    "seeds": [0],
    "parallel": 1,
    "racing": {"rungs": [1], "finalists": 1},
    "choices": {
        "length": {"brief": {}, "long": {"training": {"epochs": 5}}},
        "people": {"all": {}, "some": {"data": {"train": {"size": 20}, "normalize": "training"}}},
        "size": {
            "full": {},
            "half": {"data": {"transforms": [{"Resize": {"spatial_size": [8, 8]}}]}, "training": {"batch_size": 8}},
        },
    },
    "choices_for": {"people": ["exponential"]},
    "points": [
        {"name": "most", "method": "exponential", "choices": {"length": "long", "people": "some", "size": "half"}},
        {"name": "few", "method": "exponential", "choices": {"people": "some"}},
    ],
}


def test_a_sweep_over_images_training_splits_and_epochs(tmp_path: Path, ray_local: None) -> None:
    cohort = {"name": "again", "participants": "participants.tsv", "image": "images/{participant_id}.npy"}
    loaded = write_study(tmp_path, search=DATA, data={"external": [cohort]})
    settings = settings_in(tmp_path / "home")
    assert run_sweep(loaded, settings, Console(file=io.StringIO(), width=200)).state == FINISHED
    storage = Path(settings.storage_path) / loaded.sweep_id
    records = {record.number: record for record in read_records(storage, loaded.spec.plan)}
    assert [records[number].configuration.choices for number in (0, 1, 3)] == [
        {"length": "long", "people": "some", "size": "half"},
        {"length": "brief", "people": "some", "size": "full"},
        {"length": "brief", "size": "full"},
    ]
    prepared = find_prepared_each(loaded, settings.volumes)
    assert prepared is not None
    assert {options: (one.store.image_shape, len(one.first.splits.train)) for options, one in prepared.items()} == {
        (("people", "all"), ("size", "full")): ((1, 16, 16), 48),
        (("people", "all"), ("size", "half")): ((1, 8, 8), 48),
        (("people", "some"), ("size", "full")): ((1, 16, 16), 20),
        (("people", "some"), ("size", "half")): ((1, 8, 8), 20),
        (("size", "full"),): ((1, 16, 16), 48),
        (("size", "half"),): ((1, 8, 8), 48),
    }
    for record in records.values():
        choices = record.configuration.choices
        assert record.plan.judged_epochs == {"brief": 3, "long": 5}[choices["length"]]
        if record.state == "complete":
            assert len(record.histories[Replicate(0)].epochs) == record.plan.judged_epochs
        weights = checkpoint.load(storage / f"trial-{record.number:04d}/seed-0/best.pt")
        assert (weights["normalization"] is not None) == (choices.get("people") == "some")
    report = FinalReport.read(settings.sweeps / loaded.sweep_id / "final.json")
    assert report.external["again"].scans
    side = {"full": 16, "half": 8}[report.choices["size"]]
    model = mlflow.pyfunc.load_model(str(settings.sweeps / loaded.sweep_id / "model"))
    scans = pd.DataFrame({"path": [str(tmp_path / f"images/sub-{number:02d}.npy") for number in range(2)]})
    assert len(model.predict(scans)) == 2, f"scans are made {side} wide, as the options say"
    again = write_study(tmp_path, search={**DATA, "trials": 1, "racing": None}, data={"external": [cohort]})
    assert run_sweep(again, settings, Console(file=io.StringIO())).state == FINISHED
    assert again.sweep_id != loaded.sweep_id
    assert SweepFolder.find(settings, again.sweep_id).read_state().taken == 1, "what reads the same is there already"


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
    assert len(model.predict(pd.DataFrame({"path": [str(tmp_path / "images/sub-00.npy")]}))) == 1
