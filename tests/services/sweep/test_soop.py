"""Short sweeps over real data: FLAIR slices to age, lesion maps to stroke severity."""

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.spec.spec import load_spec
from contrasweep.services.sweep.run import run_sweep
from tests.services.small_study import settings_in

SPECS = Path(__file__).parents[2] / "specs"
DATA = SPECS.parents[1].parent / "shared" / "data" / "soop"

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the SOOP data set is not at {DATA}"),
]


@pytest.mark.parametrize(
    ("name", "shape", "beats"),
    [("soop_age", (1, 64, 160), 0.95), ("soop_nihss", (1, 32, 40, 32), 1.15)],
)
def test_a_short_sweep_over_real_scans(
    tmp_path: Path, ray_local: None, name: str, shape: tuple[int, ...], beats: float
) -> None:
    document = yaml.safe_load((SPECS / f"{name}.yaml").read_text())
    document["data"]["participants"] = str(DATA / "participants.tsv")
    document["training"] |= {"epochs": 2, "schedule": "step", "warmup_epochs": 0, "augmentations": {"cutout": {}}}
    document["search"] |= {"spaces": ["exponential"], "trials": 2, "seeds": [0], "racing": None}
    document["search"].pop("fix", None)
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(document))
    loaded, settings = load_spec(spec), settings_in(tmp_path / "home")
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    assert f"755 volumes {list(shape)}" in console.file.getvalue()
    records = read_records(Path(settings.storage_path) / loaded.spec.sweep_id, loaded.spec.plan)
    assert [record.state for record in records] == ["complete", "complete"]
    report = FinalReport.read(settings.sweeps / loaded.spec.sweep_id / "final.json")
    assert report.n_subjects == 151
    assert report.metrics["mae"].value < beats * report.baselines["predict_mean"].mae.value
