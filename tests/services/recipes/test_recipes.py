"""Recipes: each makes, of a small data set in its real format, a spec that is valid."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from contrasweep.services import recipes
from contrasweep.services.data.validate import list_scans, prepared_shape, validate_data
from contrasweep.services.recipes import Recipe, fill
from contrasweep.services.spec import first
from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.look import Machine
from contrasweep.services.spec.spec import load_spec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.trainers.errors import UserError

SUBJECTS = 24
MACHINE = Machine(cpus=4, memory_bytes=16e9)
PLACED = np.diag([4.0, 4.0, 4.0, 1.0])


def brain(rng: Generator, shape: Sequence[int]) -> NDArray[np.float32]:
    """Random blobs in a ball, zero around it; along a fourth axis, the same ones brighter and darker."""
    places = np.moveaxis(np.indices(shape[:3]), 0, -1) - (np.array(shape[:3]) - 1) / 2
    waves = sum(np.sin(places / rng.uniform(2, 4, 3)).sum(-1) for _ in range(2))
    volume = np.where(np.linalg.norm(places / (0.4 * np.array(shape[:3])), axis=-1) < 1, 100 + 10 * waves, 0)
    return (np.multiply.outer(volume, 1 + rng.random(shape[3:]))).astype(np.float32)


def nifti(path: Path, values: NDArray[Any]) -> None:
    nib.save(nib.Nifti1Image(values, PLACED), path)


def picture(path: Path, values: NDArray[Any]) -> None:
    Image.fromarray((255 * values).astype(np.uint8)).save(path)


WRITE: Mapping[str, Callable[[Path, NDArray[Any]], None]] = {".npy": np.save, ".nii.gz": nifti, ".png": picture}


@dataclass(frozen=True)
class Sample:
    """What a recipe says of the data that it is tried on."""

    ending: str
    shape: Sequence[int]
    gives: Sequence[int]
    brain: bool = False
    set: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, name: str, rng: Generator) -> None:
        """One scan."""
        values = brain(rng, self.shape) if self.brain else rng.random(self.shape, dtype=np.float32)
        WRITE[self.ending](folder / f"{name}{self.ending}", values)


SAMPLES = {name: Sample(**load_mapping(recipes.sample(name), "")["sample"]) for name in recipes.names()}
every = pytest.mark.parametrize("name", recipes.names())


def write_first_spec(path: Path, given: Mapping[str, str], recipe: str | None, values: Mapping[str, str]) -> list[str]:
    """On a machine where a step takes a tenth of a second."""
    return first.write_first_spec(path, given, recipe, values, machine=MACHINE, step_seconds=lambda *_: 0.1)


def dataset(folder: Path, sample: Sample) -> dict[str, str]:
    """A table and scans, and beside them an atlas of two regions and a template; what init is told of them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = [f"s{number:02d}\t{20 + number}" for number in range(SUBJECTS)]
    (folder / "participants.tsv").write_text("\n".join(["subject_id\tage", *rows]) + "\n")
    for number in range(SUBJECTS):
        sample.write(folder, f"s{number:02d}", rng)
    labels = np.zeros((8, 8, 8), dtype=np.float32)
    labels[:3], labels[5:] = 1, 2
    nifti(folder / "atlas.nii.gz", labels)
    nifti(folder / "template.nii.gz", brain(np.random.default_rng(0), (32, 32, 32)))
    return {
        "participants": str(folder / "participants.tsv"),
        "image": f"{{subject_id}}{sample.ending}",
        "label": "age",
    }


def blanks(name: str) -> dict[str, str]:
    """What the sample fills the recipe's blanks with, as it is typed."""
    return {blank: str(value) for blank, value in SAMPLES[name].set.items()}


def init(folder: Path, name: str, **values: str) -> Path:
    """The spec that init writes, in a folder beside the data."""
    given = dataset(folder / "data", SAMPLES[name])
    named = {key: str(folder / "data" / value) if value.endswith(".gz") else value for key, value in values.items()}
    path = folder / "specs" / "study.yaml"
    write_first_spec(path, given, name, named)
    return path


@every
def test_what_a_recipe_makes_is_valid(name: str, tmp_path: Path) -> None:
    loaded = load_spec(init(tmp_path, name, **blanks(name)))
    check_spec(loaded)
    assert list(prepared_shape(loaded, list_scans(loaded, [])[0])) == SAMPLES[name].gives
    console = Console(file=io.StringIO(), width=200)
    validate_data(loaded, console)
    assert isinstance(console.file, io.StringIO)
    assert f"sweep id {loaded.spec.sweep_id}" in console.file.getvalue()


@every
def test_a_spec_has_the_recipes_parts_and_comments(name: str, tmp_path: Path) -> None:
    path = init(tmp_path, name, **blanks(name))
    text, written = path.read_text(), recipes.text(name)
    spec, parts = load_mapping(text, ""), load_mapping(fill(name, blanks(name)), "")
    assert spec["model"] == parts["model"]
    assert spec["training"].items() >= parts["training"].items()
    steps = [next(iter(step)) for step in spec["data"]["transforms"]]
    assert steps == [next(iter(step)) for step in parts["data"]["transforms"]]
    assert all(spec["data"].get(key) == parts["data"].get(key) for key in ("dtype", "normalize"))
    comments = [line for line in written.splitlines() if line.startswith("#")]
    assert len(comments) >= 3
    assert all(comment in text for comment in comments)


@every
def test_a_recipe_says_its_source_what_is_done_before_and_what_it_does_not_follow(name: str) -> None:
    about = Recipe.parse(recipes.text(name)).about
    assert "# Done outside, before: " in about
    assert "# Not as published: " in about
    assert all(len(line) <= 120 for line in recipes.text(name).splitlines())


def test_a_blank_in_a_comment_makes_it_a_step_once_it_is_filled(tmp_path: Path) -> None:
    plain = load_spec(init(tmp_path / "plain", "stiffness")).spec.data.transforms
    path = init(tmp_path / "registered", "stiffness", template="template.nii.gz")
    registered = load_spec(path).spec.data.transforms
    added = {"AffineRegistration": {"template": "../data/template.nii.gz", "spacing_mm": 2}}
    assert [step for step in registered if step not in plain] == [added]
    assert len(registered) == len(plain) + 1


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("t1_brian", {}, "unknown recipe 't1_brian'; did you mean 't1_brain'?"),
        ("fmri_series", {}, "--set: recipe 'fmri_series' needs --set tr_s=VALUE"),
        ("fmri_volumes", {"tr_s": "0.8"}, "--set: recipe 'fmri_volumes' needs --set atlas=VALUE"),
        ("stiffness", {"tempalte": "x"}, "--set: recipe 'stiffness' has no blank 'tempalte'; did you mean 'template'?"),
        ("echo", {"tr_s": "1"}, "--set: recipe 'echo' has no blank 'tr_s'; allowed: none"),
    ],
)
def test_mistakes_in_names_and_blanks(name: str, values: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as error:
        fill(name, values)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "kind", "values", "message"),
    [
        ("t1_brain", "fmri_volumes", {}, "--recipe: t1_brain does not suit .*s00.nii.gz: is not skull-stripped"),
        ("t1_brain", "xray_hand", {}, "--recipe: t1_brain does not suit .*s00.png: SkullStripped takes volumes"),
        ("xray_hand", "t1_brain", {}, "xray_hand"),
        ("echo", "t1_brain", {}, "--recipe: echo does not suit .*s00.nii.gz: SampleFrames takes videos"),
        ("fmri_series", "fmri_series", {"tr_s": "soon"}, "BandPass: tr_s is 'soon'; allowed: numbers above 0"),
        ("stiffness", "stiffness", {"template": "gone.nii"}, "AffineRegistration.template: no such file: .*gone.nii"),
    ],
)
def test_a_recipe_that_does_not_suit_writes_nothing(
    tmp_path: Path, name: str, kind: str, values: dict[str, str], message: str
) -> None:
    given = dataset(tmp_path / "data", SAMPLES[kind])
    with pytest.raises(UserError, match=message) as error:
        write_first_spec(tmp_path / "study.yaml", given, name, values)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "study.yaml").exists()


def test_set_without_a_recipe(tmp_path: Path) -> None:
    given = dataset(tmp_path / "data", SAMPLES["fmri_series"])
    with pytest.raises(UserError, match="--set: tr_s is for a recipe; name it with --recipe"):
        write_first_spec(tmp_path / "study.yaml", given, None, {"tr_s": "1"})
