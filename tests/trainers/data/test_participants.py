import zipfile
from pathlib import Path
from typing import Any

import pytest

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import read_subjects, unlisted_images
from contrasweep.trainers.errors import UserError


def table(folder: Path, *rows: str, header: str = "id\tage\tsex") -> Path:
    path = folder / "people.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    for row in rows:
        name = row.split("\t")[0]
        (folder / f"{name}.png").touch()
    return path


def config(**changes: Any) -> DataConfig:
    given: dict[str, Any] = {"participants": "people.tsv", "id": "id", "image": "{id}.png", "label": "age"}
    return DataConfig(**{**given, **changes})


def test_subjects_come_sorted_by_id_with_group_and_strata(tmp_path: Path) -> None:
    table(tmp_path, "b\t30\tM", "a\t20.5\tF")
    subjects, rejected = read_subjects(config(group="sex", split={"stratify": ["age", "sex"]}), tmp_path)
    assert [(s.id, s.label, s.group, s.strata) for s in subjects] == [
        ("a", 20.5, "F", {"age": 20.5, "sex": "F"}),
        ("b", 30.0, "M", {"age": 30.0, "sex": "M"}),
    ]
    assert subjects[0].path == tmp_path / "a.png"
    assert not rejected


@pytest.mark.parametrize("label", ["n/a", "", "old", "nan", "inf"])
def test_a_label_that_is_no_number_rejects_its_subject(tmp_path: Path, label: str) -> None:
    table(tmp_path, "a\t20\tF", f"b\t{label}\tF", "c\t30\tM")
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == ["a", "c"]
    assert [r.subject for r in rejected] == ["b"]
    assert f"column 'age' is '{label}'" in rejected[0].reason


def test_a_scan_without_a_label_is_kept_where_it_may_be_trained_on(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\tn/a\tF", "c\t-9\tM", "d\told\tM", "e\t30\tM")
    subjects, rejected = read_subjects(config(unlabelled="train", missing=[-9]), tmp_path)
    assert {s.id: s.label for s in subjects} == {"a": 20, "b": None, "c": None, "e": 30}
    assert [r.subject for r in rejected] == ["d"], "text that is no number is no missing label"


def test_covariates_are_numbers_or_categories_and_reject_whom_they_are_missing_of(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF\t1.5", "b\t30\tM\t2", "c\t40\t\t3", "d\t50\tF\tn/a", header="id\tage\tsex\ttiv")
    subjects, rejected = read_subjects(config(covariates=["sex", "tiv"]), tmp_path)
    assert {s.id: s.covariates for s in subjects} == {"a": {"sex": "F", "tiv": 1.5}, "b": {"sex": "M", "tiv": 2.0}}
    assert {r.subject: r.reason for r in rejected} == {
        "c": "missing value: column 'sex' is ''",
        "d": "missing value: column 'tiv' is 'n/a'",
    }


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        (["sexx"], "data.covariates: people.tsv has no column 'sexx'; did you mean 'sex'"),
        (["sex", "sex"], r"\['sex', 'sex'\] repeats sex"),
        (["age"], "covariates: 'age' is not allowed: it is the label"),
        (["images"], "covariates: 'images' is not allowed: the served model's images have this name"),
    ],
)
def test_covariates_that_are_no_columns_beside_the_label(tmp_path: Path, covariates: list[str], message: str) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM")
    with pytest.raises((UserError, ValueError), match=message):
        read_subjects(config(covariates=covariates), tmp_path)


def test_a_missing_image_and_a_missing_group_reject_their_subjects(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t25\tF", "c\t30\tn/a", "d\t35\tF")
    (tmp_path / "b.png").unlink()
    subjects, rejected = read_subjects(config(group="sex"), tmp_path)
    assert [s.id for s in subjects] == ["a", "d"]
    assert [(r.subject, r.reason) for r in rejected] == [
        ("b", "no such image"),
        ("c", "missing value: column 'sex' is 'n/a'"),
    ]


def test_an_image_that_two_rows_name_is_nobodys(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tx", "b\t30\ty", "c\t40\tx", "d\t50\td", header="id\tage\timage")
    for name in "xy":
        (tmp_path / f"{name}.png").touch()
    subjects, rejected = read_subjects(config(image="{image}.png"), tmp_path)
    assert [s.id for s in subjects] == ["b", "d"]
    assert [(r.subject, r.reason) for r in rejected] == [
        (name, "the table gives its image to another scan, too") for name in "ac"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"participants": "peple.tsv"}, "no such file: .*peple.tsv; did you mean 'people.tsv'"),
        ({"participants": "nowhere/people.tsv"}, "the folder .*nowhere does not exist"),
        ({"label": "agee"}, "data.label: people.tsv has no column 'agee'; did you mean 'age'"),
        ({"id": "sid"}, "data.id: people.tsv has no column 'sid'"),
        ({"group": "gender"}, "data.group: people.tsv has no column 'gender'"),
        ({"split": {"stratify": ["site"]}}, "data.split.stratify: people.tsv has no column 'site'"),
        ({"image": "{idd}.png"}, "data.image: people.tsv has no column 'idd'; did you mean 'id'"),
        ({"image": "{id.png"}, "data.image: .* is no template"),
        ({"session": "ses"}, "data.session: people.tsv has no column 'ses'"),
        ({"label": "sex"}, "column 'sex' of people.tsv holds no numbers; the first value is 'F'"),
    ],
)
def test_a_wrong_setup_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM")
    with pytest.raises(UserError, match=message) as caught:
        read_subjects(config(**changes), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_subject_of_several_rows_is_rejected_alone(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM", "a\t21\tF", "c\t40\tF", "c\t40\tF")
    for scan in "abc":
        (tmp_path / f"{scan}.png").touch()
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == ["b", "c"], "two rows that say the same are one"
    assert [(r.subject, r.reason) for r in rejected] == [
        ("a", "has 2 different rows, in lines 2, 4; data.session names the column that tells a subject's scans apart")
    ]


def test_equal_labels_are_refused(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t20\tM")
    with pytest.raises(UserError, match="range of 'age' is zero: all 2 labels are 20"):
        read_subjects(config(), tmp_path)


def test_scans_of_which_none_has_a_label_are_refused(tmp_path: Path) -> None:
    table(tmp_path, "a\tn/a\tF", "b\t20\tM", "c\t\tM")
    (tmp_path / "b.png").unlink()
    with pytest.raises(UserError, match=r"^data\.label: no scan that can be used has a number in column 'age'$"):
        read_subjects(config(unlabelled="train"), tmp_path)


def test_a_column_that_the_transforms_read_must_be_there(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM")
    with pytest.raises(UserError, match=r"data\.transforms: people\.tsv has no column 'agee'; did you mean 'age'"):
        read_subjects(config(), tmp_path, ["agee"])


def test_columns_that_the_transforms_read_are_numbers(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\t1.5", "b\t30\tn/a", "c\t40\t2e1", header="id\tage\tx")
    subjects, rejected = read_subjects(config(), tmp_path, ["x", "age"])
    assert [s.numbers for s in subjects] == [{"x": 1.5, "age": 20.0}, {"x": 20.0, "age": 40.0}]
    reason = "is no finite number, as is needed: column 'x' is 'n/a'"
    assert [(r.subject, r.reason) for r in rejected] == [("b", reason)]


def test_columns_of_site_and_sex_are_described(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF\tLeeds\t1", "b\t30\t\tBonn\t2", header="id\tage\tSex\tSITE\tother")
    subjects, _ = read_subjects(config(), tmp_path)
    assert [s.described for s in subjects] == [{"Sex": "F", "SITE": "Leeds"}, {"Sex": "n/a", "SITE": "Bonn"}]


CENSORED = ("a\t20\tF", "b\t89+\tF", "c\t> 85\tM", "d\t30\tM")


def test_a_sample_spans_the_labels_and_takes_all_scans_of_its_subjects(tmp_path: Path) -> None:
    table(tmp_path, *(f"s{number:02d}\t{20 + number}\tF" for number in range(11)))
    scans, rejected = read_subjects(config(sample=3), tmp_path)
    assert [scan.label for scan in scans] == [20, 25, 30] and not rejected
    assert len(read_subjects(config(sample=40), tmp_path)[0]) == 11


def test_censored_labels_are_rejected_unless_asked_for(tmp_path: Path) -> None:
    table(tmp_path, *CENSORED)
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == ["a", "d"]
    assert [(r.subject, r.reason) for r in rejected] == [
        ("b", "label '89+' is censored; data.censored: keep reads it as 89"),
        ("c", "label '> 85' is censored; data.censored: keep reads it as 85"),
    ]


def test_censored_labels_are_kept_at_their_bound(tmp_path: Path) -> None:
    table(tmp_path, *CENSORED)
    subjects, rejected = read_subjects(config(censored="keep"), tmp_path)
    assert [(s.id, s.label, s.strata) for s in subjects] == [
        ("a", 20.0, {"age": 20.0}),
        ("b", 89.0, {"age": 89.0}),
        ("c", 85.0, {"age": 85.0}),
        ("d", 30.0, {"age": 30.0}),
    ]
    assert not rejected


def test_a_rejected_label_leaves_the_others_strata_numbers(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\told\tF", "c\t30\tM")
    assert [s.strata["age"] for s in read_subjects(config(), tmp_path)[0]] == [20.0, 30.0]


def test_a_decimal_comma_is_never_another_number(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", 'b\t"12,5"\tF', "c\t12,5\tF", "d\t30\tM")
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.label for s in subjects] == [20.0, 30.0]
    assert [r.reason for r in rejected] == [
        "label is no finite number: column 'age' is '12,5' (a decimal comma? write a point)"
    ] * 2
    table(tmp_path, "a\t12,5\tF", "b\t13,5\tF")
    with pytest.raises(UserError, match=r"holds no numbers; the first value is '12,5' \(a decimal comma"):
        read_subjects(config(), tmp_path)


def test_sessions_are_scans_of_one_subject(tmp_path: Path) -> None:
    table(tmp_path, "a\t2\t21", "b\t1\t30", "a\t1\t20", "b\tn/a\t31", header="id\tvisit\tage")
    for scan in ("a_1", "a_2", "b_1"):
        (tmp_path / f"{scan}.png").touch()
    subjects, rejected = read_subjects(config(session="visit", image="{id}_{visit}.png"), tmp_path)
    assert [(s.id, s.subject, s.label) for s in subjects] == [
        ("a_1", "a", 20.0),
        ("a_2", "a", 21.0),
        ("b_1", "b", 30.0),
    ]
    assert [(r.subject, r.reason) for r in rejected] == [("b in line 5", "missing value: column 'visit' is 'n/a'")]


def test_a_session_twice_is_rejected(tmp_path: Path) -> None:
    table(tmp_path, "a\t1\t20", "a\t2\t21", "a\t1\t22", "a\t3\t23", header="id\tvisit\tage")
    for scan in ("a_1", "a_2", "a_3"):
        (tmp_path / f"{scan}.png").touch()
    subjects, rejected = read_subjects(config(session="visit", image="{id}_{visit}.png"), tmp_path)
    assert [s.id for s in subjects] == ["a_2", "a_3"]
    assert [(r.subject, r.reason) for r in rejected] == [("a_1", "has 2 different rows, in lines 2, 4")]


def test_two_pairs_of_subject_and_session_do_not_share_an_id(tmp_path: Path) -> None:
    table(tmp_path, "a\tb_c\t20", "a_b\tc\t21", header="id\tvisit\tage")
    _, rejected = read_subjects(config(session="visit"), tmp_path)
    assert [(r.subject, r.reason) for r in rejected] == [("a_b_c", "has 2 different rows, in lines 2, 3")]


def test_ids_stay_the_text_that_they_are(tmp_path: Path) -> None:
    names = ["001", "1", "1.0", "1e0", "A", "a", "a b", "a[1]", "a*?", "zo\u00eb"]
    table(tmp_path, *(f"{name}\t{20 + age}\tF" for age, name in enumerate(names)))
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == sorted(names)
    assert [s.path.name for s in subjects] == [f"{name}.png" for name in sorted(names)]
    assert not rejected


def test_a_subject_in_two_unicode_forms_is_there_twice(tmp_path: Path) -> None:
    table(tmp_path, "zo\u00eb\t20\tF", "zoe\u0308\t30\tF")
    _, rejected = read_subjects(config(), tmp_path)
    assert rejected[0].reason.startswith("has 2 different rows, in lines 2, 3")


def test_a_row_without_an_id_and_a_path_that_climbs_out_are_rejected(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\ta.png", "na\t25\ta.png", "b\t30\t../../etc/passwd", header="id\tage\tfile")
    subjects, rejected = read_subjects(config(image="{file}"), tmp_path)
    assert [s.id for s in subjects] == ["a"]
    assert [(r.subject, r.reason) for r in rejected] == [
        ("b", "'../../etc/passwd' climbs out of the folder of the table"),
        ("line 3", "no subject id: column 'id' is 'na'"),
    ]


def test_links_and_folders(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tF", "c\t40\tF", "d\t50\tF", "e\t60\tF")
    for name, target in {"b": ".git/annex/objects/b", "c": "c.png", "d": "a.png"}.items():
        (tmp_path / f"{name}.png").unlink()
        (tmp_path / f"{name}.png").symlink_to(target)
    (tmp_path / "e.png").unlink()
    (tmp_path / "e.png").mkdir()  # as a DICOM series is
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == ["a", "d", "e"]
    assert [(r.subject, r.reason) for r in rejected] == [
        ("b", "is a link to .git/annex/objects/b, which is missing (git annex get?)"),
        ("c", "cannot be opened: Too many levels of symbolic links"),
    ]


def test_images_without_a_row_are_found(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\tn/a\tF", "c[1]\t30\tF", "zo\u00eb\t30\tF")
    for name in ("c1.png", "more.png", "readme.txt"):
        (tmp_path / name).touch()
    (tmp_path / "zo\u00eb.png").rename(tmp_path / "zoe\u0308.png")
    assert unlisted_images(config(), tmp_path) == [tmp_path / "c1.png", tmp_path / "more.png"]
    assert unlisted_images(config(image="{id}.{sex}"), tmp_path) == [
        tmp_path / name for name in ("a.png", "b.png", "c1.png", "c[1].png", "more.png", "zoe\u0308.png")
    ]


def test_images_in_archives_must_be_there(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tF", "c\t40\tM", "d\t50\tM")
    for name, member in (("a", "T1/T1.nii.gz"), ("b", "T1/t1.nii.gz")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(member, "x")
    (tmp_path / "c.zip").write_text("no archive")
    listed = config(image="{id}.zip/T1/T1.nii.gz")
    subjects, rejected = read_subjects(listed, tmp_path)
    assert [subject.path for subject in subjects] == [tmp_path / "a.zip" / "T1" / "T1.nii.gz"]
    assert [(one.subject, one.reason) for one in rejected] == [
        ("b", "b.zip holds no 'T1/T1.nii.gz'; did you mean 'T1/t1.nii.gz'?"),
        ("c", "c.zip is no .zip archive that can be read, or a damaged one: File is not a zip file"),
        ("d", "no such image"),
    ]
    assert unlisted_images(listed, tmp_path) == []


TWO = {"t1": "{id}/T1.png", "t2": "{id}/T2*.png"}


def images(folder: Path, *names: str) -> None:
    """Empty files, and people a, b, c with ages."""
    table(folder, "a\t20\tF", "b\t30\tM", "c\t40\tF")
    for name in "abc":
        (folder / f"{name}.png").unlink()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_a_scan_of_several_images_has_their_paths_in_the_specs_order(tmp_path: Path) -> None:
    images(tmp_path, *(f"{who}/{file}.png" for who in "abc" for file in ("T1", "T2w")))
    subjects, rejected = read_subjects(config(image=TWO), tmp_path)
    assert [list(s.images) for s in subjects] == [
        [("t1", tmp_path / who / "T1.png"), ("t2", tmp_path / who / "T2w.png")] for who in "abc"
    ]
    assert [s.path.name for s in subjects] == ["T1.png"] * 3
    assert not rejected
    subjects, _ = read_subjects(config(image=dict(reversed(TWO.items()))), tmp_path)
    assert [s.image_names for s in subjects] == [("t2", "t1")] * 3
    assert [path.name for path in subjects[0].paths] == ["T2w.png", "T1.png"]


def test_an_image_of_several_that_is_missing_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a/T1.png", "b/T2.png", "c/T1.png", "c/T2a.png", "c/T2b.png")
    subjects, rejected = read_subjects(config(image=TWO), tmp_path)
    assert not subjects
    assert [(r.subject, r.path, r.reason) for r in rejected] == [
        ("a", None, "t2: no file fits 'a/T2*.png'"),
        ("b", None, "t1: no such image"),
        ("c", None, "t2: 2 files fit 'c/T2*.png': c/T2a.png, c/T2b.png; one is needed"),
    ]


def test_all_images_of_several_that_are_missing_are_named(tmp_path: Path) -> None:
    images(tmp_path, "a/T1.png", "a/T2.png")
    _, rejected = read_subjects(config(image={"t1": "{id}/T1.png", "t2": "{id}/T2.png"}), tmp_path)
    assert [(r.subject, r.reason) for r in rejected] == [
        (who, "t1: no such image; t2: no such image") for who in ("b", "c")
    ]


def test_a_file_is_one_image_of_one_scan(tmp_path: Path) -> None:
    table(tmp_path, "a\tx\t20", "b\ty\t30", "c\ty\t40", "d\tu\t50", "e\tw\t60", header="id\tflair\tage")
    for name in "uwxy":
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "e.png").unlink()
    (tmp_path / "e.png").symlink_to("w.png")  # another name
    subjects, rejected = read_subjects(config(image={"t1": "{id}.png", "t2": "{flair}.png"}), tmp_path)
    assert [s.id for s in subjects] == ["a", "d", "e"]
    assert [(r.subject, r.reason) for r in rejected] == [
        (who, "t2: the table gives its image to another scan, too") for who in "bc"
    ]
    _, rejected = read_subjects(config(image={"t1": "{id}.png", "t2": "./{id}.png"}), tmp_path)
    assert [r.reason for r in rejected] == ["t1 and t2 are one file"] * 5


def test_a_column_or_a_template_that_is_wrong_names_its_image(tmp_path: Path) -> None:
    images(tmp_path)
    for text, said in {
        "{idd}.png": r"data\.image\.t2: people\.tsv has no column 'idd'; did you mean 'id'",
        "{id.png": r"data\.image\.t2: '{id\.png' is no template",
        "T2.png": r"data\.image\.t2: 'T2\.png' names no column",
    }.items():
        with pytest.raises(UserError, match=said):
            read_subjects(config(image={"t1": "{id}.png", "t2": text}), tmp_path)


def test_codes_for_missing_values_leave_the_columns_of_all_templates_alone(tmp_path: Path) -> None:
    table(tmp_path, "a\t1\t20", "b\t2\t30", header="id\tscan\tage")
    for name in ("1", "2"):
        (tmp_path / f"{name}.png").touch()
    given = config(image={"t1": "{id}.png", "t2": "{scan}.png"}, missing=[1])
    assert [s.id for s in read_subjects(given, tmp_path)[0]] == ["a", "b"]


def test_images_without_a_row_are_found_for_each_of_several(tmp_path: Path) -> None:
    images(tmp_path, "a/T1.png", "a/T2.png", "b/T1.png", "x/T2w.png", "y/T1.png", "c/T1x.png")
    assert unlisted_images(config(image=TWO), tmp_path) == [tmp_path / "x/T2w.png", tmp_path / "y/T1.png"]
