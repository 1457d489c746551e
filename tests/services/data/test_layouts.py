"""The specs in docs/datasets.md are right for the data sets as they are distributed."""

import io
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from contrasweep.services.data.validate import validate_data
from contrasweep.services.records.folder import FINISHED
from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.sweep.run import run_sweep
from contrasweep.trainers.data.participants import read_subjects
from contrasweep.trainers.data.readers import read_header
from contrasweep.trainers.data.splits import make_splits
from tests.services.data.layouts import LAYOUTS
from tests.services.small_study import settings_in

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
BLOCKS = dict(re.findall(r"^## (.+?)\n.*?```yaml\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
every = pytest.mark.parametrize("name", LAYOUTS)


def study(name: str, folder: Path) -> LoadedSpec:
    """The data set in its layout, with the spec that the page has for it and the smallest model."""
    LAYOUTS[name][0](folder)
    data = load_mapping(BLOCKS[name], "docs/datasets.md")
    dims = {"EchoNet-Dynamic": 3, "HCP young adults": 1, "ABIDE, preprocessed": 1, "An XCP-D derivative": 1}
    flat = ("RSNA bone age", "RHPE", "NIH ChestX-ray14")
    spec = {
        "name": "layout",
        "data": data,
        "model": {
            **{"encoder": "resnet18", "width": 0.0625, "head_hidden": 16, "embedding": 8},
            "spatial_dims": dims.get(name, 2 if name in flat else 3),
        },
        "training": {"epochs": 2, "batch_size": 4, "lr": 1e-3},
        "search": {"spaces": ["exponential"], "trials": 1, "seeds": [0], "racing": None},
    }
    text = yaml.safe_dump(spec)
    (folder / "study.yaml").write_text(text)
    return LoadedSpec(parse_spec(text, "study.yaml"), folder / "study.yaml", folder)


def test_the_page_and_the_layouts_are_of_the_same_data_sets() -> None:
    assert sorted(BLOCKS) == sorted(LAYOUTS)


@every
def test_a_data_set_as_it_is_downloaded_is_valid(name: str, tmp_path: Path) -> None:
    loaded = study(name, tmp_path)
    _, usable, rejected, labels = LAYOUTS[name]
    check_spec(loaded)
    console = Console(file=io.StringIO(), width=200)
    validate_data(loaded, console)
    assert isinstance(console.file, io.StringIO)
    assert f"{usable} usable, {rejected} rejected" in console.file.getvalue()
    subjects, _ = read_subjects(loaded.spec.data, tmp_path)
    assert labels.items() <= {subject.id: subject.label for subject in subjects}.items()
    splits = make_splits(subjects, loaded.spec.data.stratified_split)
    person = {subject.id: subject.subject for subject in subjects}
    sides = [{person[scan] for scan in ids} for ids in splits.parts.values()]
    assert all(not one & other for one in sides for other in sides if one is not other)


def test_the_other_sets_of_rsna_are_cohorts(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    validate_data(study("RSNA bone age", tmp_path), console)
    assert isinstance(console.file, io.StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    for name, reach in (("rsna-validation", "30.00 to 70.00"), ("rsna-test", "68.90 to 168.9")):
        place = lines.index(f"external {name}")
        assert lines[place + 1] == "subjects 6 usable, 0 rejected"
        assert reach in lines[place + 3]


@pytest.mark.parametrize(
    ("name", "shape"),
    [("An XCP-D derivative", (6, 50)), ("HCP young adults", (6, 40)), ("ABIDE, preprocessed", (5, 60))],
)
def test_regions_are_channels(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    loaded = study(name, tmp_path)
    subjects, _ = read_subjects(loaded.spec.data, tmp_path)
    assert read_header(subjects[0].path).shape == shape


@pytest.mark.slow
@pytest.mark.ray
@every
def test_two_epochs_are_trained(name: str, tmp_path: Path, ray_local: None) -> None:
    loaded = study(name, tmp_path)
    assert run_sweep(loaded, settings_in(tmp_path / "home"), Console(file=io.StringIO())).state == FINISHED
