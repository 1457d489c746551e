from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.predicting.scans import Asked, find_scans
from contrasweep.trainers.covariates import Cells
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served import ServedModel, save_served
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ServedModel.load(served_sample.model(tmp_path_factory.mktemp("served"), seeds=1))


def table(folder: Path, header: str, *rows: str) -> Path:
    """A table with a picture for each row."""
    for row in rows:
        served_sample.picture(folder / f"{row.partition(chr(9))[0]}.png")
    path = folder / "new.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_files_are_called_by_their_names_and_by_their_paths_where_these_are_alike(
    model: ServedModel, tmp_path: Path
) -> None:
    files = [served_sample.picture(tmp_path / name) for name in ("a/x.png", "b/x.png", "b/sub-01_T1w.png")]
    found, rejected = find_scans(Asked(files=(*files, tmp_path / "gone.nii.gz")), model)
    assert [scan.id for scan in found] == [str(files[0]), str(files[1]), "sub-01_T1w"]
    assert [(one.subject, one.reason) for one in rejected] == [("gone", "no such image")]


def test_a_table_needs_no_label_and_tells_one_where_it_can(model: ServedModel, tmp_path: Path) -> None:
    found, rejected = find_scans(Asked(participants=table(tmp_path, "participant_id", "s1", "s2")), model)
    assert [(scan.id, scan.label) for scan in found] == [("s1", None), ("s2", None)] and not rejected
    told = table(tmp_path, "participant_id\tage\tyears", "s1\t61.5\t1", "s2\tn/a\t2", "s3\told\t3")
    assert [scan.label for scan in find_scans(Asked(participants=told), model)[0]] == [61.5, None, None]
    assert [scan.label for scan in find_scans(Asked(participants=told, label="years"), model)[0]] == [1, 2, 3]


def test_a_table_may_call_its_columns_and_images_otherwise(model: ServedModel, tmp_path: Path) -> None:
    path = table(tmp_path, "who\tage", "s1\t50")
    (tmp_path / "s1.png").rename(tmp_path / "scan_s1.png")
    found, rejected = find_scans(Asked(participants=path, id="who", image="scan_{who}.png"), model)
    assert [scan.id for scan in found] == ["s1"] and not rejected
    with pytest.raises(UserError, match=r"--id: new.tsv has no column 'participant_id'; allowed: age, who"):
        find_scans(Asked(participants=path), model)
    with pytest.raises(UserError, match=r"label: new.tsv has no column 'agee'; did you mean 'age'\?"):
        find_scans(Asked(participants=path, id="who", image="scan_{who}.png", label="agee"), model)


def test_a_table_may_have_sessions_where_the_study_had_none_and_none_where_it_had_some(
    model: ServedModel, tmp_path: Path
) -> None:
    path = table(tmp_path, "participant_id\tvisit\tdose", "s1\ta\t5")
    (found,), _ = find_scans(Asked(participants=path, session="visit", by=("dose",)), model)
    assert (found.id, found.subject, found.session, found.described) == ("s1_a", "s1", "a", {"dose": "5"})
    longitudinal = ServedModel.load(served_sample.model(tmp_path / "other", seeds=1, session="visit"))
    (alone,), _ = find_scans(Asked(participants=table(tmp_path, "participant_id", "s1"), session=""), longitudinal)
    assert (alone.id, alone.session) == ("s1", "")


def test_scans_without_an_image_are_rejected_by_name(model: ServedModel, tmp_path: Path) -> None:
    path = table(tmp_path, "participant_id", "s1", "s2")
    (tmp_path / "s2.png").unlink()
    found, rejected = find_scans(Asked(participants=path), model)
    assert [scan.id for scan in found] == ["s1"]
    assert [(one.subject, one.reason) for one in rejected] == [("s2", "no such image")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "nothing is given; one of SCANS, --participants and --bids is needed"),
        ({"files": ("a.png",), "bids": "d"}, "SCANS and --bids are given; one of"),
        ({"files": ("a.png",), "id": "who"}, "--id is not allowed with SCANS"),
        ({"files": ("a.png",), "session": "visit"}, "--session is not allowed with SCANS"),
        ({"participants": "t.tsv", "suffix": "T1w"}, "--suffix is not allowed with --participants"),
        ({"bids": "d", "image": "{a}.png"}, "--image is not allowed with --bids"),
        ({"participants": "t.tsv", "id": ""}, "--id: '' is not allowed"),
        ({"bids": "d"}, "--suffix is missing: the model's study was a table"),
        ({"participants": "gone.tsv"}, "--participants: no such file: gone.tsv"),
    ],
)
def test_what_does_not_go_together_is_one_line(asked: dict[str, Any], said: str, model: ServedModel) -> None:
    with pytest.raises(UserError, match=said):
        find_scans(Asked(**asked), model)


def test_a_model_with_covariates_asks_for_their_table(tmp_path: Path) -> None:
    cells: list[Cells] = [{"tiv": 1400.0 + row, "sex": "FM"[row % 2]} for row in range(18)]
    member = served_sample.member(tmp_path / "run", cells=cells)
    told = served_sample.config(covariates=["tiv", "sex"])
    save_served(tmp_path / "model", {"seed-0": member}, told, tmp_path)
    model = ServedModel.load(tmp_path / "model")
    with pytest.raises(UserError, match="the model reads tiv, sex of a table beside each scan"):
        find_scans(Asked(files=(served_sample.picture(tmp_path / "a.png"),)), model)
    path = table(tmp_path, "participant_id\ttiv\tsex", "s1\t1500\tF", "s2\tbig\tM", "s3\t1450+\t3")
    found, rejected = find_scans(Asked(participants=path), model)
    assert [scan.covariates for scan in found] == [{"tiv": 1500.0, "sex": "F"}, {"tiv": 1450.0, "sex": "3"}]
    assert [one.reason for one in rejected] == ["is no finite number, as is needed: column 'tiv' is 'big'"]
    with pytest.raises(UserError, match="has no column 'sex'"):
        find_scans(Asked(participants=table(tmp_path, "participant_id\ttiv", "s1\t1500")), model)


def test_a_bids_data_set_needs_no_table_and_every_session_counts(model: ServedModel, tmp_path: Path) -> None:
    for name in ("sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01/ses-2/anat/sub-01_ses-2_T1w", "sub-02/anat/sub-02_T1w"):
        served_sample.picture(tmp_path / f"{name}.png")
    asked = Asked(bids=tmp_path, suffix="T1w")
    found, rejected = find_scans(asked, model)
    assert [scan.id for scan in found] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"] and not rejected
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t40\nsub-03\t50\n")
    found, rejected = find_scans(asked, model)
    assert [(scan.id, scan.label) for scan in found] == [("sub-01_ses-1", 40), ("sub-01_ses-2", None), ("sub-02", None)]
    assert [one.subject for one in rejected] == ["sub-03"]


def test_a_bids_data_set_is_read_by_its_own_columns_whatever_those_of_the_study_were(tmp_path: Path) -> None:
    model = ServedModel.load(served_sample.model(tmp_path / "model", seeds=1, id="RID", session="visit"))
    served_sample.picture(tmp_path / "data/sub-01/anat/sub-01_T1w.png")
    (tmp_path / "data/participants.tsv").write_text("participant_id\tage\nsub-01\t40\n")
    (found,), rejected = find_scans(Asked(bids=tmp_path / "data", suffix="T1w"), model)
    assert (found.id, found.label) == ("sub-01", 40) and not rejected
