"""What the methods learn, at their published points: minutes of training, each."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from contrasweep.services.records.folder import FINISHED
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.sweep.run import run_sweep
from contrasweep.trainers import losses
from tests.benchmarks.methods import guessing, loaded
from tests.services.small_study import settings_in

SPECS = Path(__file__).parents[2] / "specs"

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("name", ["phantom_methods", "phantom_mae"])
def test_every_pretraining_beats_half_of_what_guessing_gives(name: str, tmp_path: Path, ray_local: None) -> None:
    """Twelve epochs (mae: sixty) on 187 stiffness maps, three seeds, and a ridge probe."""
    spec, settings = loaded(SPECS / f"{name}.yaml", tmp_path), settings_in(tmp_path / "home")
    assert run_sweep(spec, settings, Console(file=io.StringIO())).state == FINISHED
    guessed = guessing(spec, settings.volumes)
    reached = {
        record.configuration.method: record.objective
        for record in read_records(Path(settings.storage_path) / spec.spec.sweep_id, spec.spec.plan)
    }
    assert reached.keys() == set(spec.spec.search.spaces)
    pretrained = [method for method in reached if not losses.get(method).end_to_end]
    assert {method: reached[method] for method in pretrained if reached[method] > guessed / 2} == {}
