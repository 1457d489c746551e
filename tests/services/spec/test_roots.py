"""What a spec may name where the settings have data roots, and that a refusal tells nothing of what lies outside."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.spec.roots import confine, confine_subjects, place, without_folders
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, changed, parsed


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """Two roots, a table in each, and a file outside that a link in the first leads to."""
    for name in ("first", "second", "outside"):
        (tmp_path / name / "study").mkdir(parents=True)
        (tmp_path / name / "study" / f"{name}.tsv").write_text("participant_id\tage\n")
    (tmp_path / "outside" / "secret.tsv").write_text("secret\n")
    (tmp_path / "first" / "link.tsv").symlink_to(tmp_path / "outside" / "secret.tsv")
    (tmp_path / "first" / "gone.tsv").symlink_to(tmp_path / "outside" / "gone.tsv")
    (tmp_path / "first" / "circle.tsv").symlink_to(tmp_path / "first" / "circle.tsv")
    (tmp_path / "first" / "away").symlink_to(tmp_path / "outside")
    return [tmp_path / "first", tmp_path / "second"]


def placed(document: dict[str, Any], roots: list[Path]) -> LoadedSpec:
    """The spec with paths from the first root, whether or not its table is there."""
    return LoadedSpec(parsed(document), Path("spec"), roots[0])


def refusal(document: dict[str, Any], roots: list[Path]) -> str:
    with pytest.raises(UserError) as error:
        confine(placed(document, roots), roots)
    message = str(error.value)
    assert "\n" not in message and str(roots[0].parent) not in message
    return message


def test_the_base_is_the_first_root_that_has_the_table(roots: list[Path]) -> None:
    loaded = place(parsed(changed("data/participants", "study/second.tsv")), roots)
    assert (loaded.base, loaded.path) == (roots[1], Path("spec"))
    assert place(parsed(changed("data/participants", "study/first.tsv")), roots).base == roots[0]
    confine(loaded, roots)


@pytest.mark.parametrize(
    "table", ["study/outside.tsv", "link.tsv", "gone.tsv", "circle.tsv", "away/secret.tsv", "a" * 300, "study", ""]
)
def test_there_is_no_base_for_a_table_in_no_root(roots: list[Path], table: str) -> None:
    with pytest.raises(UserError, match="is not allowed") as error:
        place(parsed(changed("data/participants", table)), roots)
    assert str(roots[0].parent) not in str(error.value)


def test_a_bids_data_set_is_placed_by_its_table(roots: list[Path]) -> None:
    (roots[1] / "study" / "participants.tsv").write_text("participant_id\tage\n")
    bids = {**MINIMAL, "data": {"bids": "study", "suffix": "T1w", "label": "age"}}
    assert place(parsed(bids), roots).base == roots[1]


HOSTILE = [
    "../outside/secret.tsv",
    "study/../../outside/secret.tsv",
    "..",
    "/etc/passwd",
    "//host/share/x",
    "\\\\host\\share\\x",
    "..\\x",
    "C:/x",
    "http://host/x",
    "s3://bucket/x",
    "file:/etc/passwd",
    "~/x",
    "~root/x",
    "a\x00b",
    "a\nb",
    "a\u202eb",
    "",
    "link.tsv",
    "gone.tsv",
    "circle.tsv",
    "away/secret.tsv",
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("field", ["participants", "bids", "split.files.test", "init_from", "template", "atlas"])
def test_no_field_names_a_file_outside(roots: list[Path], field: str, path: str) -> None:
    documents = {
        "participants": changed("data/participants", path),
        "bids": {**MINIMAL, "data": {"bids": path or "..", "suffix": "T1w", "label": "age"}},
        "split.files.test": changed("data/split", {"files": {"test": path}}),
        "init_from": changed("model/init_from", path),
        "template": changed("data/transforms", [{"AffineRegistration": {"template": path}}]),
        "atlas": changed("data/transforms", [{"LeftHalf": {}}, {"Parcellate": {"atlas": path}}]),
    }
    assert field in refusal(documents[field], roots)


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("field", ["participants", "bids", "image", "join", "template"])
def test_no_field_of_a_cohort_names_a_file_outside(roots: list[Path], field: str, path: str) -> None:
    table = {"name": "adni", "participants": "study/second.tsv", "image": "{participant_id}.npy"}
    cohorts = {
        "participants": {**table, "participants": path},
        "bids": {"name": "adni", "bids": path or "..", "suffix": "T1w"},
        "image": {**table, "image": f"../{path}/{{participant_id}}"},
        "join": {**table, "join": [{"table": path, "on": "participant_id"}]},
        "template": {**table, "transforms": [{"AffineRegistration": {"template": path}}]},
    }
    said = refusal(changed("data/external", [cohorts[field]]), roots)
    assert said.startswith("spec: data.external (adni): ") and field in said


def test_no_option_names_a_file_outside(roots: list[Path]) -> None:
    steps = [{"AffineRegistration": {"template": "link.tsv"}}]
    choices = {"grid": {"own": {}, "common": {"data": {"transforms": steps}}}}
    said = "spec: search.choices.grid.common.data.transforms[0].AffineRegistration.template: 'link.tsv' is not allowed"
    assert refusal(changed("search/choices", choices), roots).startswith(said)


def test_cohorts_inside_are_allowed(roots: list[Path]) -> None:
    cohort = {"name": "adni", "participants": str(roots[1] / "study" / "second.tsv"), "image": "{participant_id}.npy"}
    confine(placed(changed("data/external", [cohort]), roots), roots)


@pytest.mark.parametrize("path", [*HOSTILE[:-5], "away/{participant_id}.npy", "/etc/{participant_id}", "../{age}"])
def test_no_image_template_begins_outside(roots: list[Path], path: str) -> None:
    image = path if "{" in path else f"{path}/{{participant_id}}"
    assert "data.image" in refusal(changed("data/image", image), roots)


@pytest.mark.parametrize("name", ["t1", "t2"])
@pytest.mark.parametrize("path", ["/etc/{participant_id}", "../{age}", "away/{participant_id}.npy", "s3://b/{age}"])
def test_no_template_of_several_images_begins_outside(roots: list[Path], path: str, name: str) -> None:
    images = {"t1": "study/{participant_id}.npy", "t2": "study/{participant_id}_t2.npy"}
    confine(placed(changed("data/image", images), roots), roots)
    assert f"data.image.{name}: '{path}' is not allowed" in refusal(
        changed("data/image", {**images, name: path}), roots
    )


@pytest.mark.parametrize("image", ["{participant_id}/../../x", "x{{y/../../{participant_id}"])
def test_no_image_template_climbs(roots: list[Path], image: str) -> None:
    assert "data.image" in refusal(changed("data/image", image), roots)


def test_files_inside_and_registered_models_are_allowed(roots: list[Path]) -> None:
    document = changed("model/init_from", "models:/my model.v1/3")
    document["data"]["participants"] = str(roots[1] / "study" / "second.tsv")
    document["data"]["transforms"] = [{"Parcellate": {"atlas": "study/first.tsv"}}, {"Resize": {"spatial_size": 8}}]
    confine(placed(document, roots), roots)


@pytest.mark.parametrize("start", ["models:/../1", "models:/a/b/c", "models:/a", "MODELS:/a/1", "models:/a\n/1"])
def test_only_registered_models_are_no_paths(roots: list[Path], start: str) -> None:
    assert "model.init_from" in refusal(changed("model/init_from", start), roots)


def test_a_refusal_does_not_tell_whether_the_file_exists(roots: list[Path]) -> None:
    there, gone = (refusal(changed("data/participants", name), roots) for name in ("link.tsv", "gone.tsv"))
    assert there.replace("link", "gone") == gone


def test_sessions_of_a_bids_data_set_stay_inside(roots: list[Path], tmp_path: Path) -> None:
    subject = roots[0] / "study" / "sub-1"
    subject.mkdir()
    (subject / "sub-1_sessions.tsv").symlink_to(tmp_path / "outside" / "secret.tsv")
    said = refusal({**MINIMAL, "data": {"bids": "study", "suffix": "T1w", "label": "age"}}, roots)
    assert "sub-1_sessions.tsv" in said


def test_scans_that_links_lead_to_stay_inside(roots: list[Path]) -> None:
    def subject(path: Path) -> Subject:
        return Subject("s1", "s1", (path,), 1.0, None, {}, {}, {})

    confine_subjects([subject(roots[0] / "study" / "a.npy"), subject(roots[1] / "b.npy")], roots)
    with pytest.raises(UserError, match="the image of 's1' is not inside a data root"):
        confine_subjects([subject(roots[0] / "away" / "secret.tsv")], roots)


def test_every_image_of_a_scan_stays_inside(roots: list[Path]) -> None:
    paths = (roots[0] / "study" / "a.npy", roots[0] / "away" / "secret.tsv")
    subject = Subject("s1", "s1", paths, 1.0, None, {}, {}, {}, image_names=("t1", "t2"))
    with pytest.raises(UserError, match="the image t2 of 's1' is not inside a data root"):
        confine_subjects([subject], roots)
    confine_subjects([replace(subject, paths=(paths[0], roots[1] / "b.npy"))], roots)


@pytest.mark.parametrize("is_there", [True, False])
def test_files_that_a_scan_is_read_from_stay_inside(is_there: bool, roots: list[Path], tmp_path: Path) -> None:
    if is_there:
        (tmp_path / "outside" / "a.img").write_bytes(b"secret")
    study = roots[0] / "study"
    (study / "a.hdr").write_bytes(bytes(348))
    (study / "a.img").symlink_to(tmp_path / "outside" / "a.img")
    (study / "b.mhd").write_text("NDims = 3\nDimSize = 1 1 1\nElementType = MET_CHAR\nElementDataFile = a.img\n")
    for name in ("a.hdr", "b.mhd"):
        with pytest.raises(UserError, match="the image of 's1' is not inside a data root"):
            confine_subjects([Subject("s1", "s1", (study / name,), 1.0, None, {}, {}, {})], roots)
        template = [{"AffineRegistration": {"template": f"study/{name}"}}]
        assert f"template: 'study/{name}' is not allowed" in refusal(changed("data/transforms", template), roots)


def test_a_root_may_itself_be_a_link(roots: list[Path], tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to(roots[0])
    loaded = place(parsed(changed("data/participants", "study/first.tsv")), [tmp_path / "root"])
    confine(loaded, [tmp_path / "root"])


def test_folders_are_taken_out_of_messages(tmp_path: Path) -> None:
    inner = tmp_path / "data"
    text = f"{inner}/a.tsv and {tmp_path}/b, {tmp_path}, {inner}2, {tmp_path}x"
    assert without_folders(text, [tmp_path, inner]) == f"a.tsv and b, ., data2, {tmp_path}x"
    assert without_folders(f"in {os.sep}a", [Path("/")]) == "in /a"
