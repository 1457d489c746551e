"""A study that a sweep gets through in seconds: 80 people, 16x16 images whose brightness follows age."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from contrasweep.services.records.trial_record import read_records
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, load_spec

SPEC: dict[str, Any] = {
    "name": "small",
    "data": {
        "participants": "participants.tsv",
        "image": "images/{participant_id}.npy",
        "label": "age",
        "transforms": [{"NormalizeIntensity": {"subtrahend": 2.5, "divisor": 1.0}}],
        "split": {"stratify": ["age"]},
    },
    "model": {"encoder": "resnet18", "spatial_dims": 2, "width": 0.0625, "head_hidden": 16, "embedding": 8},
    "training": {"epochs": 3, "batch_size": 16, "lr": 3e-3, "augmentations": {"noise": {}}},
    "search": {
        "spaces": ["dynlocrep", "exponential", "supremix", "vanilla"],
        "trials": 5,
        "seeds": [0, 1],
        "parallel": 2,
        "racing": {"rungs": [1], "finalists": 2},
    },
}


def write_study(folder: Path, **changes: dict[str, Any]) -> LoadedSpec:
    """Images, table and spec under `folder`; `changes` go into the sections that they name."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = ["participant_id\tage"]
    for number, age in enumerate(rng.uniform(20, 80, 80)):
        image = age / 20 + 0.3 * rng.standard_normal((1, 16, 16))
        np.save(folder / "images" / f"sub-{number:02d}.npy", image.astype(np.float32))
        lines.append(f"sub-{number:02d}\t{age:.1f}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    spec = changes | {
        key: value | changes.get(key, {}) if isinstance(value, dict) else value for key, value in SPEC.items()
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(spec))
    return load_spec(folder / "study.yaml")


def settings_in(home: Path) -> Settings:
    """Everything under `home`."""
    return Settings(home=home)


def results(loaded: LoadedSpec, settings: Settings) -> str:
    """All that a sweep found out, as text that two equal sweeps share: configurations, states, metrics by epoch."""
    records = read_records(Path(settings.storage_path) / loaded.spec.sweep_id, loaded.spec.plan)
    found = [
        {
            "number": record.number,
            "configuration": vars(record.configuration),
            "state": record.state,
            "seeds": {
                str(run): [{k: v for k, v in row.items() if k != "epoch_s"} for row in history.epochs]
                for run, history in record.histories.items()
            },
        }
        for record in records
    ]
    return json.dumps(found, indent=1, sort_keys=True)
