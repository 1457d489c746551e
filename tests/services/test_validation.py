"""What `validate` and `plan` print, and what they refuse."""

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from services.plan import local_node
from services.report import print_plan
from services.settings import Settings
from services.spec import LoadedSpec, SweepSpec
from services.validation import check_table, make_plan, validate_data
from trainers.errors import UserError


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


def printed(loaded: LoadedSpec) -> list[str]:
    file = io.StringIO()
    validate_data(loaded, Console(file=file, width=60, highlight=False))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


def test_counts_shapes_and_labels(scans: Path) -> None:
    loaded = of(scans)
    lines = printed(loaded)
    assert lines[0].split(maxsplit=1) == ["subjects", "40 usable, 0 rejected"]
    assert lines[1].split(maxsplit=1) == ["shapes", "[1, 8, 9, 10] x 40"]
    assert lines[2].split(maxsplit=1) == ["age", "20 to 59, mean 39.5, sd 11.54"]
    assert lines[3] == f"{loaded.path} is valid; sweep id {loaded.spec.sweep_id}"


def test_one_truncated_scan_among_many_is_a_rejected_row(scans: Path) -> None:
    cut(scans / "s07.nii.gz", 0.02)
    lines = printed(of(scans))
    assert "39 usable, 1 rejected" in lines[0]
    assert [line for line in lines if line.startswith("  rejected s07: ends early")]


def test_too_many_truncated_scans_are_an_error_that_names_one(scans: Path) -> None:
    for number in (3, 5, 7):
        cut(scans / f"s{number:02d}.nii.gz", 0.02)
    with pytest.raises(UserError) as error:
        printed(of(scans))
    assert str(error.value).startswith(
        "participants.tsv: 3 of 40 subjects are rejected, more than data.max_rejected 0.05 allows; "
        "first: s03: ends early"
    )
    assert "s03.nii.gz" in str(error.value)
    assert "3 rejected" in printed(of(scans, data={"max_rejected": 0.1}))[0]


@pytest.mark.parametrize("max_rejected", [0.05, 1.0])
def test_no_scan_at_all(scans: Path, max_rejected: float) -> None:
    loaded = of(scans, data={"image": "{participant_id}.nii", "max_rejected": max_rejected})
    for check in (printed, check_table):
        with pytest.raises(UserError, match=r"participants\.tsv"):
            check(loaded)


def test_a_split_that_would_be_empty(scans: Path) -> None:
    with pytest.raises(UserError, match="40 subjects leave the test split empty"):
        check_table(of(scans, data={"split": {"test": 0.01}}))


def test_a_batch_larger_than_the_training_split(scans: Path) -> None:
    assert len(check_table(of(scans, training={"batch_size": 24}))) == 40
    with pytest.raises(UserError, match=r"training.batch_size: 26 is not allowed: the training split has 24 scans"):
        check_table(of(scans, training={"batch_size": 26}))


def plan(loaded: LoadedSpec, home: Path) -> str:
    file = io.StringIO()
    print_plan(Console(file=file, width=60, highlight=False), make_plan(loaded, Settings(home=home), [local_node()]))
    return file.getvalue()


def test_the_plan(scans: Path) -> None:
    text = plan(of(scans, budget={"hours": 1e-9}, search={"trials": 5, "seeds": [0, 1]}), scans / "home")
    assert "40 volumes [1, 8, 9, 10]" in text
    assert "24 to train on" in text
    assert "5 configurations x 2 seeds = 10 runs of 2 epochs" in text
    assert text.endswith("the budget of 1e-09 h ends it before that\n")
    assert not (scans / "home").exists(), "planning leaves nothing behind"


def test_images_of_other_dimensions_than_the_model(scans: Path) -> None:
    with pytest.raises(UserError, match=r"study.yaml: model.spatial_dims: 2 is not allowed: prepared images \[1"):
        plan(of(scans, model={"spatial_dims": 2}), scans / "home")


def test_transforms_that_fail_on_these_images(scans: Path) -> None:
    transforms = [{"Resize": {"spatial_size": [4, 4]}}]
    with pytest.raises(UserError, match=r"none of the 40 images can be used; first: .*Resize fails on shape"):
        plan(of(scans, data={"transforms": transforms}), scans / "home")


def test_a_batch_may_be_as_large_as_the_scans_to_train_on(scans: Path) -> None:
    """10 subjects of 4 scans: 6 subjects, and so 24 scans, are to train on."""
    rows = [f"p{number // 4}\ts{number:02d}\t{20 + number}" for number in range(40)]
    (scans / "participants.tsv").write_text("\n".join(["who\tscan\tage", *rows]) + "\n")
    data = {"id": "who", "session": "scan", "image": "{scan}.nii.gz"}
    check_table(of(scans, data=data, training={"batch_size": 24}))
    with pytest.raises(UserError, match=r"the training split has 24 scans"):
        check_table(of(scans, data=data, training={"batch_size": 26}))
