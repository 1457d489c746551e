import json
from pathlib import Path
from typing import Any

import pytest

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import Subject, read_subjects, unlisted_images
from contrasweep.trainers.errors import UserError


def config(**changes: Any) -> DataConfig:
    return DataConfig(**{"bids": "set", "suffix": "T1w", "label": "age", **changes})


def add(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(folder: Path, name: str, *rows: str) -> None:
    path = folder / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Three subjects without sessions; one row lacks the prefix, one subject is in no row, one without an image."""
    add(tmp_path, *(f"sub-{s}/anat/sub-{s}_{rest}" for s in ("01", "02", "07") for rest in ("T1w.nii.gz", "T1w.json")))
    add(tmp_path, "sub-01/anat/sub-01_T2w.nii.gz", "sub-01/anat/._sub-01_T1w.nii.gz", "sub-01/anat/notes.txt")
    add(tmp_path, "derivatives/fmriprep/sub-01/anat/sub-01_T1w.nii.gz", "sourcedata/sub-03/anat/sub-03_T1w.nii.gz")
    write(tmp_path, "participants.tsv", "participant_id\tage\tsex", "sub-01\t20\tF", "02\t30\tM", "sub-03\t40\tM")
    return tmp_path


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """01 came three times and has a table of it, which lacks the third; 02 came once and has none."""
    for scan in ("01_ses-a", "01_ses-b", "01_ses-c", "02_ses-a"):
        add(tmp_path, f"sub-{scan[:2]}/ses-{scan[-1]}/anat/sub-{scan}_T1w.nii.gz")
    write(tmp_path, "participants.tsv", "participant_id\tage\tsex", "sub-01\t20\tF", "sub-02\t30\tM")
    write(tmp_path, "sub-01/sub-01_sessions.tsv", "session_id\tage\tpain", "ses-a\t21\t3", "b\t22\t4")
    return tmp_path


def labels(subjects: list[Subject]) -> dict[str, float | None]:
    return {subject.id: subject.label for subject in subjects}


def test_images_meet_their_rows_and_what_has_no_partner_is_rejected(flat: Path) -> None:
    subjects, rejected = read_subjects(config(group="sex"), flat)
    assert [(s.id, s.subject, s.label, s.group) for s in subjects] == [
        ("sub-01", "sub-01", 20.0, "F"),
        ("sub-02", "sub-02", 30.0, "M"),
    ]
    assert subjects[0].path == flat / "set/sub-01/anat/sub-01_T1w.nii.gz"
    assert [(r.subject, r.reason) for r in rejected] == [
        ("sub-03", "no image ends in '_T1w'"),
        ("sub-07", "participants.tsv has no row for sub-07"),
    ]
    assert unlisted_images(config(), flat) == []


def test_a_derivative_is_a_data_set_of_its_own(flat: Path) -> None:
    write(flat, "derivatives/fmriprep/participants.tsv", "participant_id\tage", "sub-01\t20", "sub-02\t30")
    subjects, _ = read_subjects(config(bids="set/derivatives/fmriprep"), flat)
    assert [s.path.relative_to(flat / "set") for s in subjects] == [
        Path("derivatives/fmriprep/sub-01/anat/sub-01_T1w.nii.gz")
    ]


def test_the_sessions_table_has_the_last_word(visits: Path) -> None:
    subjects, rejected = read_subjects(config(), visits)
    assert labels(subjects) == {"sub-01_ses-a": 21.0, "sub-01_ses-b": 22.0, "sub-02_ses-a": 30.0}
    assert [s.subject for s in subjects] == ["sub-01", "sub-01", "sub-02"]
    assert [s.described for s in subjects] == [{"sex": "F"}, {"sex": "F"}, {"sex": "M"}]
    assert [(r.subject, r.reason) for r in rejected] == [("sub-01_ses-c", "missing label: column 'age' is 'n/a'")]


def test_a_label_may_be_of_sessions_alone(visits: Path) -> None:
    write(visits, "participants.tsv", "participant_id\tage", "sub-01\t20", "sub-02\t30", "n/a\t40")
    subjects, rejected = read_subjects(config(label="pain"), visits)
    assert labels(subjects) == {"sub-01_ses-a": 3.0, "sub-01_ses-b": 4.0}
    assert [r.subject for r in rejected] == ["line 4", "sub-01_ses-c", "sub-02_ses-a"]


def test_one_session_is_chosen_by_its_entity(visits: Path) -> None:
    subjects, rejected = read_subjects(config(entities={"ses": "a"}), visits)
    assert labels(subjects) == {"sub-01_ses-a": 21.0, "sub-02_ses-a": 30.0}
    assert not rejected


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Of 01 and 02: two runs of one task, a run of another, and a reconstruction."""
    for name in ("task-rest_run-1", "task-rest_run-2", "task-nback", "task-rest_run-1_rec-mc"):
        for ending in (".nii.gz", ".json", "_events.tsv"):
            add(tmp_path, *(f"sub-{s}/func/sub-{s}_{name}_bold{ending}".replace("_bold_", "_") for s in ("01", "02")))
    write(tmp_path, "participants.tsv", "participant_id\tage", "sub-01\t20", "sub-02\t30")
    return tmp_path


def bold(**entities: str | None) -> DataConfig:
    return config(suffix="bold", entities=entities)


def test_entities_choose_and_null_is_their_absence(runs: Path) -> None:
    subjects, rejected = read_subjects(bold(task="rest", run="1", rec=None), runs)
    assert [s.path.name for s in subjects] == [f"sub-{s}_task-rest_run-1_bold.nii.gz" for s in ("01", "02")]
    assert not rejected
    assert [s.path.name for s in read_subjects(bold(run=None, datatype="func", extension=".nii.gz"), runs)[0]] == [
        f"sub-{s}_task-nback_bold.nii.gz" for s in ("01", "02")
    ]


def test_several_matches_are_rejected_with_what_tells_them_apart(runs: Path) -> None:
    subjects, rejected = read_subjects(bold(task="rest", rec=None), runs)
    assert not subjects
    assert [(r.subject, r.path) for r in rejected] == [("sub-01", None), ("sub-02", None)]
    assert rejected[0].reason == (
        "2 images match: sub-01_task-rest_run-1_bold.nii.gz, sub-01_task-rest_run-2_bold.nii.gz; "
        "data.entities can choose by run (1, 2)"
    )
    _, rejected = read_subjects(bold(), runs)
    assert rejected[0].reason.startswith("4 images match: ")
    assert rejected[0].reason.endswith(
        " ...; data.entities can choose by rec (mc, null) or run (1, 2, null) or task (nback, rest)"
    )


def test_the_extension_decides_between_two_copies(flat: Path) -> None:
    add(flat, "sub-01/anat/sub-01_T1w.nii")
    assert "choose by extension (.nii, .nii.gz)" in read_subjects(config(), flat)[1][0].reason
    subjects, _ = read_subjects(config(entities={"extension": ".nii.gz"}), flat)
    assert [s.id for s in subjects] == ["sub-01", "sub-02"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bids": "sets"}, "data.bids: no such folder: .*sets"),
        ({"bids": "set/sub-01"}, "data.bids: .*sub-01 holds no files of subjects"),
        ({"suffix": "T1"}, "data.suffix: no image in set ends in '_T1'; allowed: bold, events"),
        ({"suffix": "events.tsv"}, "data.suffix: no image in set ends in '_events.tsv'; .*'events'"),
        ({"entities": {"task": "rset"}}, "data.entities: no '_bold' image has task 'rset'; did you mean 'rest'"),
        ({"entities": {"tsk": "rest"}}, "data.entities: no '_bold' image has an entity 'tsk'; did you mean 'task'"),
        ({"entities": {"task": None}}, "data.entities: no '_bold' image is without task; allowed: nback, rest"),
        ({"entities": {"task": "nback", "run": "2"}}, "no '_bold' image has an entity 'run'"),
        ({"entities": {"extension": ".nii"}}, "has extension '.nii'; did you mean '.nii.gz'"),
        ({"label": "agee"}, "data.label: participants.tsv has no column 'agee'; did you mean 'age'"),
        ({"id": "subject"}, "data.id: participants.tsv has no column 'subject'"),
    ],
)
def test_a_wrong_setup_is_one_line_that_names_what_there_is(runs: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_subjects(config(**{"suffix": "bold", **changes}), runs)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_subjects_folder_is_nobodys(flat: Path) -> None:
    (flat / "set/sub-02/anat/sub-02_T1w.nii.gz").rename(flat / "set/sub-02/anat/sub-01_T1w.nii.gz")
    subjects, rejected = read_subjects(config(), flat)
    assert [s.id for s in subjects] == ["sub-01"]
    assert (rejected[0].subject, rejected[0].reason) == ("sub-02", "sub-01_T1w.nii.gz lies in the folder of sub-02")


def test_a_link_into_an_annex_that_was_not_fetched_is_rejected(flat: Path) -> None:
    image = flat / "set/sub-02/anat/sub-02_T1w.nii.gz"
    image.unlink()
    image.symlink_to("../../.git/annex/objects/x.nii.gz")
    reason = "is a link to ../../.git/annex/objects/x.nii.gz, which is missing (git annex get?)"
    assert read_subjects(config(), flat)[1][0].reason == reason


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("participants.tsv", ("sub-01\t20", "01\t30"), "participants.tsv has 'sub-01' twice, in lines 2 and 3"),
        (
            "sub-01/sub-01_sessions.tsv",
            ("ses-a\t20", "a\t30"),
            "sub-01_sessions.tsv has 'ses-a' twice, in lines 2 and 3",
        ),
    ],
)
def test_a_row_twice_is_refused(flat: Path, name: str, rows: tuple[str, ...], message: str) -> None:
    column = "participant_id" if name.startswith("participants") else "session_id"
    write(flat, name, f"{column}\tage", *rows)
    with pytest.raises(UserError, match=message):
        read_subjects(config(), flat)


def test_a_sessions_table_needs_its_column(visits: Path) -> None:
    write(visits, "sub-01/sub-01_sessions.tsv", "session\tage", "ses-a\t21")
    with pytest.raises(UserError, match=r"sub-01_sessions\.tsv has no column 'session_id'; did you mean 'session'"):
        read_subjects(config(), visits)


def describe(folder: Path, name: str, **fields: Any) -> None:
    write(folder, f"{name}/dataset_description.json", json.dumps({"Name": name, "DatasetType": "derivative", **fields}))


@pytest.mark.parametrize(
    ("made", "fields"),
    [
        ("derivatives/fmriprep", {}),
        ("derivatives/cat12/v12.8", {}),
        ("../elsewhere/xcp_d", {"SourceDatasets": [{"DOI": "10.1/x"}, {"URL": "../../set"}]}),
        ("../far/qsiprep", {"SourceDatasets": [{"URL": "bids:raw:"}], "DatasetLinks": {"raw": "../../set"}}),
    ],
)
def test_a_derivative_has_the_tables_of_what_it_was_made_from(visits: Path, made: str, fields: Any) -> None:
    for scan in ("01_ses-a", "01_ses-b", "02_ses-a"):
        add(visits, f"{made}/sub-{scan[:2]}/ses-{scan[-1]}/anat/sub-{scan}_space-MNI_desc-preproc_T1w.nii.gz")
    describe(visits, made, **fields)
    subjects, rejected = read_subjects(config(bids=f"set/{made}", entities={"desc": "preproc"}), visits)
    assert labels(subjects) == {"sub-01_ses-a": 21.0, "sub-01_ses-b": 22.0, "sub-02_ses-a": 30.0}
    assert not rejected


@pytest.mark.parametrize("session", ["session_id", "visit"])
def test_a_table_may_be_named_and_have_a_row_for_each_session(visits: Path, session: str) -> None:
    rows = ("sub-01\tses-a\t51", "01\tb\t52", "sub-02\tses-a\t60")
    write(visits, "../visits.tsv", f"participant_id\t{session}\tage", *rows)
    subjects, rejected = read_subjects(config(participants="visits.tsv", session=session), visits)
    assert labels(subjects) == {"sub-01_ses-a": 51.0, "sub-01_ses-b": 52.0, "sub-02_ses-a": 60.0}
    assert [(r.subject, r.reason) for r in rejected] == [("sub-01_ses-c", "visits.tsv has no row for sub-01 ses-c")]
    with pytest.raises(UserError, match=r"data.participants: .* 'sub-01' twice, in lines 2 and 3; .* as data.session"):
        read_subjects(config(participants="visits.tsv"), visits)


def test_no_visit_gets_the_baseline_s_age(visits: Path) -> None:
    (visits / "set/sub-01/sub-01_sessions.tsv").unlink()
    subjects, rejected = read_subjects(config(), visits)
    assert labels(subjects) == {"sub-01_ses-a": 20.0, "sub-02_ses-a": 30.0}
    assert [r.subject for r in rejected] == ["sub-01_ses-b", "sub-01_ses-c"]
    assert rejected[0].reason.startswith("participants.tsv has one 'age' for 3 sessions of sub-01, which is the first")
    write(visits, "sub-01/sub-01_sessions.tsv", "session_id\tpain", "ses-a\t3", "ses-b\t4")
    assert labels(read_subjects(config(), visits)[0]) == labels(subjects), "a table of sessions that does not tell ages"


def test_phenotype_tables_join_by_subject_and_session(visits: Path) -> None:
    write(visits, "phenotype/pet.tsv", "participant_id\tsession_id\tsuvr", "sub-01\tses-a\t1.1", "sub-01\tses-b\t1.3")
    join = [{"table": "set/phenotype/pet.tsv", "on": ["participant_id", "session_id"], "columns": ["suvr"]}]
    subjects, rejected = read_subjects(config(label="suvr", join=join), visits)
    assert labels(subjects) == {"sub-01_ses-a": 1.1, "sub-01_ses-b": 1.3}
    assert "pet.tsv has no row with participant_id 'sub-02', session_id 'ses-a'" in [r.reason for r in rejected]


@pytest.mark.parametrize("run", [1, "1", "01", "001"])
def test_indices_are_numbers(tmp_path: Path, run: str | int) -> None:
    add(tmp_path, *(f"sub-{s}/func/sub-{s}_run-{r}_bold.nii.gz" for s, r in [("a", "01"), ("a", "02"), ("b", "1")]))
    write(tmp_path, "participants.tsv", "participant_id\tage", "sub-a\t20", "sub-b\t30")
    subjects, rejected = read_subjects(config(suffix="bold", entities={"run": run}), tmp_path)
    assert [s.path.name for s in subjects] == ["sub-a_run-01_bold.nii.gz", "sub-b_run-1_bold.nii.gz"]
    assert not rejected


def test_labels_are_text_unless_they_are_asked_for_as_numbers(tmp_path: Path) -> None:
    add(tmp_path, *(f"sub-{s}/anat/sub-{s}_acq-{a}_T1w.nii.gz" for s in "ab" for a in ("1", "01")))
    write(tmp_path, "participants.tsv", "participant_id\tage", "sub-a\t20", "sub-b\t30")
    assert len(read_subjects(config(entities={"acq": "01"}), tmp_path)[0]) == 2
    _, rejected = read_subjects(config(entities={"acq": 1}), tmp_path)
    assert rejected[0].reason.startswith("2 images match: sub-a_acq-01_T1w.nii.gz, sub-a_acq-1_T1w.nii.gz")
