"""40 NIfTI volumes with their table, and a study of them."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from contrasweep.services.spec.spec import LoadedSpec, SweepSpec


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """40 NIfTI volumes and their table."""
    rng = np.random.default_rng(0)
    lines = ["participant_id\tage"]
    for number in range(40):
        lines.append(f"s{number:02d}\t{20 + number}")
        nib.save(
            nib.Nifti1Image(rng.random((8, 9, 10), dtype=np.float32), np.eye(4)), tmp_path / f"s{number:02d}.nii.gz"
        )
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def of(scans: Path, **changes: Any) -> LoadedSpec:
    document: dict[str, Any] = {
        "name": "study",
        "data": {"participants": "participants.tsv", "image": "{participant_id}.nii.gz", "label": "age"},
        "model": {"width": 0.0625, "head_hidden": 8},
        "training": {"epochs": 2, "batch_size": 8},
        "search": {"spaces": ["dynlocrep"], "racing": None},
    }
    for key, value in changes.items():
        document[key] = {**document.get(key, {}), **value}
    return LoadedSpec(SweepSpec.model_validate(document), scans / "study.yaml", scans)
