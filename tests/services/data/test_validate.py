"""What `validate` prints, and what it refuses."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from services.data.validate import check_table, validate_data
from services.spec.spec import LoadedSpec
from tests.services.data.forty_scans import of, scans
from trainers.errors import UserError

__all__ = ["scans"]


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
    assert lines[2].split(maxsplit=1) == ["age", "20.00 to 59.00, mean 39.50, sd 11.54"]
    assert lines[3] == "split     train 24, validation 8, test 8"
    assert lines[4] == f"{loaded.path} is valid; sweep id {loaded.spec.sweep_id}"


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


def test_a_batch_may_be_as_large_as_the_scans_to_train_on(scans: Path) -> None:
    """10 subjects of 4 scans: 6 subjects, and so 24 scans, are to train on."""
    rows = [f"p{number // 4}\ts{number:02d}\t{20 + number}" for number in range(40)]
    (scans / "participants.tsv").write_text("\n".join(["who\tscan\tage", *rows]) + "\n")
    data = {"id": "who", "session": "scan", "image": "{scan}.nii.gz"}
    check_table(of(scans, data=data, training={"batch_size": 24}))
    with pytest.raises(UserError, match=r"the training split has 24 scans"):
        check_table(of(scans, data=data, training={"batch_size": 26}))


def test_headers_are_read_by_the_form_that_counts(scans: Path) -> None:
    for number in range(40):
        path = scans / f"s{number:02d}.nii.gz"
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        image.set_sform(np.diag([-1.0, -1, 1, 1]), 1)
        image.set_qform(np.diag([-1.3, -1.3, 10, 1]), 1)
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), path)
    with pytest.raises(UserError, match=r"data\.affine say which counts: sform, qform"):
        printed(of(scans))
    assert "40 usable, 0 rejected" in printed(of(scans, data={"affine": "qform"}))[0]


def cohort(folder: Path, ages: Sequence[float], shape: tuple[int, ...] = (8, 9, 10), **said: Any) -> dict[str, Any]:
    """A cohort of its own in `folder`, and what the spec says of it."""
    folder.mkdir()
    for number, _ in enumerate(ages):
        image = np.full(shape, number, np.float32)
        image[0, 0, 0] = -1
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / f"x{number}.nii.gz")
    rows = [f"x{number}\t{age}" for number, age in enumerate(ages)]
    (folder / "people.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    return {"name": "adni", "participants": f"{folder.name}/people.tsv", "image": "{participant_id}.nii.gz", **said}


def test_cohorts_are_told_as_the_study_is(scans: Path) -> None:
    lines = printed(of(scans, data={"external": [cohort(scans / "adni", [30, 45, 0], missing=[0], max_rejected=0.5)]}))
    place = lines.index("external  adni")
    assert lines[place - 1] == "split     train 24, validation 8, test 8"
    assert lines[place + 1].split(maxsplit=1) == ["subjects", "2 usable, 1 rejected"]
    assert lines[place + 2].split(maxsplit=1) == ["shapes", "[1, 8, 9, 10] x 2"]
    assert lines[place + 3].split(maxsplit=1) == ["age", "30.00 to 45.00, mean 37.50, sd 7.500"]
    assert lines[place + 4].startswith("  rejected x2: missing label")
    assert "is valid" in lines[place + 5]


def test_a_cohort_in_another_unit_is_a_warning(scans: Path) -> None:
    lines = printed(of(scans, data={"external": [cohort(scans / "adni", [360, 540])]}))
    assert [line for line in lines if line.startswith("  warning  'age' is 360.0 to 540.0, mostly outside")]


def test_a_cohort_of_another_shape_is_an_error_that_names_both(scans: Path) -> None:
    told = cohort(scans / "adni", [30, 40], (4, 9, 10))
    with pytest.raises(UserError) as error:
        printed(of(scans, data={"external": [told]}))
    assert str(error.value) == (
        "data.external (adni): prepared images [1, 4, 9, 10] differ from the study's [1, 8, 9, 10]; "
        "transforms makes them alike"
    )
    resized = {**told, "transforms": [{"Resize": {"spatial_size": [8, 9, 10]}}]}
    assert "is valid" in printed(of(scans, data={"external": [resized]}))[-1]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"label": "Age"}, r"label: .*'Age'.*did you mean 'age'"),
        ({"participants": "adni/none.tsv"}, r"participants: no such file"),
        ({"missing": [30]}, r"adni/people.tsv: 1 of 2 subjects are rejected, more than max_rejected 0.05 allows"),
        ({"image": "{participant_id}.nii", "max_rejected": 1}, r"participants: no subject of adni/people.tsv can be"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_the_cohorts_name(
    scans: Path, said: dict[str, Any], fault: str
) -> None:
    loaded = of(scans, data={"external": [cohort(scans / "adni", [30, 40]) | said]})
    for check in (printed, check_table):
        with pytest.raises(UserError, match=rf"^data\.external \(adni\): {fault}"):
            check(loaded)


def test_scans_of_a_cohort_stay_inside_the_data_roots(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    loaded = of(scans, data={"external": [cohort(scans / "adni", [30, 40])]})
    outside = tmp_path_factory.mktemp("outside") / "secret.nii.gz"
    (scans / "adni/x1.nii.gz").rename(outside)
    (scans / "adni/x1.nii.gz").symlink_to(outside)
    assert len(check_table(loaded)) == 40
    with pytest.raises(UserError, match=r"^spec: data.external \(adni\): participants: the image of 'x1' is not"):
        check_table(loaded, [scans])
