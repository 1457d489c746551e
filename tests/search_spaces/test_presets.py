"""Presets: each gives, under a table with images, a spec whose methods can be trained."""

from pathlib import Path

import pytest

from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, spec_of

FOLDER = Path(__file__).parents[2] / "search_spaces" / "presets"
PRESETS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
DATA = {"participants": "participants.tsv", "image": "{participant_id}.nii.gz", "label": "age"}


def spec(preset: str) -> SweepSpec:
    """The preset under a spec that says nothing but its data and a method."""
    search = {"spaces": [preset.partition("-")[0]]}
    return spec_of({"name": preset, "preset": preset, "data": DATA, "search": search}, preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_a_spec_that_can_be_trained(preset: str) -> None:
    check_spec(LoadedSpec(spec(preset), FOLDER / f"{preset}.yaml", Path()))


def test_there_is_one_for_each_column_of_table_13_and_one_for_dynlocrep() -> None:
    columns = {f"supremix-{of}" for of in ("a4", "echonet", "hcp", "rhpe", "rsna", "ukb")}
    assert {"dynlocrep", *columns} == set(PRESETS)


@pytest.mark.parametrize(
    ("of", "encoder", "batch_size", "tau", "gamma"),
    [
        ("ukb", "resnet18", 64, 0.5, 3),
        ("hcp", "resnet18", 64, 0.5, 5),
        ("rsna", "resnet50", 128, 1.0, 5),
        ("rhpe", "resnet50", 128, 1.0, 5),
        ("echonet", "r2plus1d_18", 64, 1.0, 7),
        ("a4", "resnet18", 32, 1.0, 7),
    ],
)
def test_they_are_table_13(of: str, encoder: str, batch_size: int, tau: float, gamma: float) -> None:
    found = spec(f"supremix-{of}")
    fixed = found.search.fix
    assert (found.model.encoder, found.training.batch_size) == (encoder, batch_size)
    assert (fixed["supremix.temperature"], fixed["supremix.window"]) == (tau, gamma)
    assert (fixed["supremix.alpha"], fixed["supremix.beta"]) == (2, 8)
    assert (found.training.epochs, found.training.lr, found.training.weight_decay) == (200, 1e-3, 1e-4)
    assert (found.model.head_hidden, found.model.embedding) == (2048, 128)
