"""What `validate` prints, and what it refuses."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from contrasweep.services.data.validate import check_table, validate_data
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError
from tests.services.data.forty_scans import of, scans

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


def test_outer_folds_are_told_with_the_splits_of_each(scans: Path) -> None:
    lines = printed(of(scans, data={"split": {"outer": 4, "folds": 3}}))
    assert lines[3] == "split     outer fold 0 10, outer fold 1 10, outer fold 2 10, outer fold 3 10"
    assert lines[4:8] == [f"outer     fold {n}: fold 0 10, fold 1 10, fold 2 10, test 10" for n in range(4)]


def second(scans: Path, affine: NDArray[np.float64] | None = None, *numbers: int) -> None:
    """A second image of the numbered scans, `sNN_t2.nii.gz`: of all, where none is said."""
    for number in numbers or range(40):
        values = np.random.default_rng(number).random((8, 9, 10), dtype=np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), scans / f"s{number:02d}_t2.nii.gz")


TWO = {"t1": "{participant_id}.nii.gz", "t2": "{participant_id}_t2.nii.gz"}


def test_shapes_of_several_images_and_what_they_make_together(scans: Path) -> None:
    second(scans)
    lines = printed(of(scans, data={"image": TWO}))
    assert lines[0].split(maxsplit=1) == ["subjects", "40 usable, 0 rejected"]
    assert lines[1].split(maxsplit=1) == ["shapes", "[1, 8, 9, 10] + [1, 8, 9, 10] x 40"]
    assert lines[2].split(maxsplit=1) == ["together", "[2, 8, 9, 10] of t1, t2, in this order"]


def test_an_image_of_several_that_cannot_be_used_is_named(scans: Path) -> None:
    second(scans)
    (scans / "s03_t2.nii.gz").unlink()
    cut(scans / "s04_t2.nii.gz", 0.02)
    elsewhere = np.eye(4)
    elsewhere[0, 3] = 3
    second(scans, elsewhere, 5)
    text = "\n".join(printed(of(scans, data={"image": TWO, "max_rejected": 0.1})))
    assert "37 usable, 3 rejected" in text
    assert "rejected s03: t2: no such image" in text
    assert "rejected s04: t2: ends early" in text
    assert "rejected s05: t2: affine [1, 0, 0, 3; 0, 1, 0, 0; 0, 0, 1, 0] differs from t1's [1, 0, 0, 0; " in text


def with_columns(scans: Path) -> None:
    """Ages of five people are lost; everyone's sex, head size and age in months are known, but one's sex."""
    lines = ["participant_id\tage\tsex\ttiv\tmonths"]
    for number in range(40):
        age = "n/a" if number % 8 == 0 else str(20 + number)
        sex = "" if number == 9 else "FM"[number % 2]
        lines.append(f"s{number:02d}\t{age}\t{sex}\t{1500 + number % 3}\t{12 * (20 + number)}")
    (scans / "participants.tsv").write_text("\n".join(lines) + "\n")


def test_covariates_are_shown_and_one_that_tells_the_label_is_warned_of(scans: Path) -> None:
    with_columns(scans)
    text = "\n".join(printed(of(scans, data={"covariates": ["sex", "tiv", "months"], "max_rejected": 0.2})))
    assert "34 usable, 6 rejected" in text
    assert "rejected s09: missing value: column 'sex' is ''" in text
    assert "rejected s00: missing label: column 'age' is 'n/a'" in text
    assert "tiv       1,500 to 1,502" in text.replace("1500", "1,500").replace("1502", "1,502")
    assert "data.covariates: 'months' all but tells 'age': r = 1" in text
    assert "'tiv' all but tells" not in text


def test_scans_without_a_label_are_counted_apart(scans: Path) -> None:
    with_columns(scans)
    lines = printed(of(scans, data={"unlabelled": "train"}, search={"spaces": ["simclr"], "racing": None}))
    assert lines[0].split(maxsplit=1) == ["subjects", "40 usable, 0 rejected"]
    assert lines[2].split(maxsplit=1)[1].startswith("21.00 to 59.00")
    assert "split     train 21, validation 7, test 7, without a label 5" in lines


def test_what_is_left_to_train_on_is_told(scans: Path) -> None:
    with_columns(scans)
    train = {"where": {"sex": "F"}, "size": 6, "bins": 2}
    changes = {"data": {"unlabelled": "train", "train": train}, "training": {"batch_size": 6}}
    lines = printed(of(scans, **changes, search={"spaces": ["simclr"], "racing": None}))
    place = lines.index("split     train 21, validation 7, test 7, without a label 5")
    told = r"training  11 of 26 scans, 5 of them without a label, taught 2 labels from \d\d\.\d\d to \d\d\.\d\d"
    assert re.fullmatch(told, lines[place + 1])
    assert "training  " not in "".join(printed(of(scans, data={"max_rejected": 0.2})))


def test_a_batch_larger_than_what_is_left_to_train_on(scans: Path) -> None:
    check_table(of(scans, data={"train": {"size": 8}}))
    with pytest.raises(UserError, match=r"training.batch_size: 8 is not allowed: the training split has 6 scans"):
        check_table(of(scans, data={"train": {"size": 0.25}}))


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        ({"where": {"agee": 3}}, r"data\.train\.where\.agee: .*did you mean 'age'"),
        ({"where": {"age": {"max": 5}}}, r"data\.train\.where: none of the 24 scans of the training split fulfils it"),
        ({"size": 30}, r"data\.train\.size: 30 is not allowed: 24 subjects are left to train on"),
    ],
)
def test_what_leaves_nothing_to_train_on(scans: Path, train: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        check_table(of(scans, data={"train": train}))


def test_cohorts_have_not_the_columns_of_what_is_trained_on(scans: Path) -> None:
    with_columns(scans)
    told = cohort(scans / "adni", [30, 45])
    train = {"where": {"sex": ["F", "M"]}, "size": 8}
    assert "is valid" in printed(of(scans, data={"external": [told], "train": train, "max_rejected": 0.2}))[-1]


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


@pytest.mark.parametrize(("split", "sites"), [({}, 8), ({"folds": {"by": "site"}}, 2)])
def test_groups_that_cannot_be_told_apart_are_known_before_training(
    scans: Path, split: dict[str, Any], sites: int
) -> None:
    rows = [f"s{number:02d}\t{20 + number}\t{number % sites}" for number in range(40)]
    (scans / "participants.tsv").write_text("\n".join(["participant_id\tage\tsite", *rows]))
    said = (
        "search.objective: site is not allowed: it needs two groups of at least 5 scans in the validation split, which"
    )
    with pytest.raises(UserError, match=rf"study.yaml: {said} has {int(sites == 2)}$"):
        check_table(of(scans, data={"group": "site", "split": split}, search={"objective": "site"}))


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
