import io
import re

import pytest
from rich.console import Console

from contrasweep.services import recipes
from contrasweep.services.cli.explain import explain
from contrasweep.services.spec import presets
from contrasweep.trainers import augmentations, encoders, losses, probes
from contrasweep.trainers.data import transforms
from contrasweep.trainers.errors import UserError


def explained(name: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=300)
    explain(name, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lists_every_name_under_the_field_that_takes_it() -> None:
    listed = dict(re.split("  +", line) for line in explained().splitlines())
    assert listed["search.spaces"].strip().split(", ") == losses.names()
    assert listed["model.encoder"].strip().split(", ") == encoders.names()
    assert listed["training.augmentations"].strip().split(", ") == augmentations.names()
    assert listed["probe"].strip().split(", ") == sorted([*probes.names(), "finetune"])
    ours = ", ".join(transforms.names())
    assert listed["data.transforms"] == f"{ours}, and MONAI's array transforms that are not random"
    assert listed["preset"].split(", ") == presets.names()
    assert listed["init --recipe"].split(", ") == recipes.names()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "supremix",
            [
                "search.spaces: supremix",
                "Beta(alpha, beta)",
                "  supremix.window = 5.0  (numbers above 0, or inf)  searched: 1.25 to 20, log\n",
                "  supremix.weight = ratio  (ratio, relative, plain, none)\n",
            ],
        ),
        ("dynlocrep", ["  dynlocrep.lam = inf  (numbers from 0, or inf)  searched: 0.5, 1.0, 2.0, inf\n"]),
        ("vit", ["model.encoder: vit", "  patch = 16"]),
        ("cutout", ["training.augmentations: cutout", "  size = 0.4", "  in_plane = False"]),
        ("CLAHE", ["data.transforms: CLAHE", "Zuiderveld 1994", "  clip_limit = 0.01"]),
        ("BandPass", ["  tr_s  (no default)", "  order = 5"]),
        ("Spacing", ["data.transforms (MONAI): Spacing", "  pixdim  (no default)", "  diagonal = False"]),
        ("linear", ["probe: linear", "  epochs = 100"]),
        ("finetune", ["probe: finetune", "  method = vanilla"]),
    ],
)
def test_says_what_one_is_and_takes(name: str, parts: list[str]) -> None:
    said = explained(name)
    assert all(part in said for part in parts)
    assert "image_shape =" not in said and "train_labels =" not in said


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_shown_as_it_is_written(name: str) -> None:
    assert explained(name) == recipes.text(name)


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_shown_as_it_is_written_behind_a_method_of_its_name(name: str) -> None:
    said = explained(name)
    assert said.endswith(f"preset: {name}\n\n{presets.text(name)}")
    assert said.startswith("search.spaces: dynlocrep" if name == "dynlocrep" else "preset: ")


def test_an_unknown_name() -> None:
    with pytest.raises(UserError, match=r"unknown name 'supremx'; did you mean 'supremix'\?"):
        explain("supremx", Console(file=io.StringIO()))
