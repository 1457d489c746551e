import io

import pytest
from rich.console import Console

import search_spaces
from services.explain import explain
from trainers import augmentations, encoders, probes
from trainers.errors import UserError


def explained(name: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=300)
    explain(name, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lists_every_name_under_the_field_that_takes_it() -> None:
    listed = dict(line.split(maxsplit=1) for line in explained().splitlines())
    assert listed["search.spaces"].strip().split(", ") == search_spaces.names()
    assert listed["model.encoder"].strip().split(", ") == encoders.names()
    assert listed["training.augmentations"].strip().split(", ") == augmentations.names()
    assert listed["probe"].strip().split(", ") == sorted([*probes.names(), "finetune"])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("supremix", ["search.spaces: supremix", "Beta(alpha, beta)", "  supremix.window = 5.0"]),
        ("vit", ["model.encoder: vit", "  patch = 16"]),
        ("cutout", ["training.augmentations: cutout", "  size = 0.4", "  in_plane = False"]),
        ("linear", ["probe: linear", "  epochs = 100"]),
        ("finetune", ["probe: finetune", "  method = vanilla"]),
    ],
)
def test_says_what_one_is_and_takes(name: str, parts: list[str]) -> None:
    said = explained(name)
    assert all(part in said for part in parts)
    assert "image_shape =" not in said and "train_labels =" not in said


def test_an_unknown_name() -> None:
    with pytest.raises(UserError, match=r"unknown name 'supremx'; did you mean 'supremix'\?"):
        explain("supremx", Console(file=io.StringIO()))
