import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.data.readers import UnreadableError
from contrasweep.trainers.data.template import ImageTemplate
from contrasweep.trainers.errors import UserError


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("{path}", "a/b.png", "data/a/b.png"),
        ("maps/{path}", "/b.png", "data/maps/b.png"),
        ("maps/{path}", "c/../b.png", "data/maps/b.png"),
        ("../maps/x{path}.png", "1", "data/../maps/x1.png"),
        ("/{path}", "/scans/b.png", "/scans/b.png"),
        ("{{{path}}}", "b", "data/{b}"),
        ("{path}/{path}.png", "b", "data/b/b.png"),
        ("{path}", "..b.png", "data/..b.png"),
    ],
)
def test_cells_take_their_columns_places(text: str, path: str, expected: str) -> None:
    assert ImageTemplate.parse(text, Path("data")).fill({"path": path}) == Path(expected)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{path}", "../../etc/passwd"),
        ("{path}", "a/../../b.png"),
        ("{path}", ".."),
        ("maps/{path}", "../other/b.png"),
        ("../maps/{path}.png", "../b"),
        ("maps/a{path}", "/../../b.png"),
    ],
)
def test_cells_do_not_lead_out_of_the_folder_that_is_spelled_out(text: str, path: str) -> None:
    template = ImageTemplate.parse(text, Path("data"))
    with pytest.raises(UnreadableError, match=f"climbs out of {template.beginning or 'the folder of the table'}"):
        template.fill({"path": path})


def test_an_absolute_cell_needs_a_template_that_says_so() -> None:
    with pytest.raises(UnreadableError, match=r"for absolute paths begin data\.image with '/'"):
        ImageTemplate.parse("{path}", Path("data")).fill({"path": "/etc/passwd"})


@given(st.text(st.sampled_from("./a"), min_size=1), st.sampled_from(["{p}", "m/{p}", "m/a{p}b", "../{p}"]))
def test_whatever_a_cell_holds_its_path_is_inside(cell: str, text: str) -> None:
    template = ImageTemplate.parse(text, Path("/data/x"))
    try:
        path = template.fill({"p": cell})
    except UnreadableError:
        return
    assert path.resolve().is_relative_to(template.folder.resolve())


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_with_accents_is_found_in_either_form(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    name = unicodedata.normalize(form, "zoë.png")
    (tmp_path / name).touch()
    assert ImageTemplate.parse("{id}.png", tmp_path).fill({"id": "zo\u00eb"}).name == name


@pytest.mark.parametrize("name", ["a b", "a[1]", "a*", "a?", "a#1", "é", "{x}"])
def test_blanks_and_glob_characters_are_themselves(tmp_path: Path, name: str) -> None:
    for folder in (name, "other", "a1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scan.png").touch()
    assert ImageTemplate.parse("{id}/scan.png", tmp_path).fill({"id": name}).is_file()
    literal = name.replace("{", "{{").replace("}", "}}")
    assert ImageTemplate.parse(f"{literal}/{{id}}.png", tmp_path).existing() == [tmp_path / name / "scan.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan.png", "names no column"),
        ("{id.png", "is no template"),
        ("{}.png", "is no template"),
        ("a/**/{id}", "'\\*\\*' in .* is not allowed"),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ImageTemplate.parse(text, Path())


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("{id:03d}.png", {"id": "7"}, "007.png"),
        ("{id:03}.png", {"id": "1234"}, "1234.png"),
        ("{id:4d}.png", {"id": "12.0"}, "0012.png"),
        ("{Image Data ID}/{a.b[0]}/{what?!}.png", {"Image Data ID": "I4", "a.b[0]": "x", "what?!": "y"}, "I4/x/y.png"),
    ],
)
def test_columns_of_any_name_and_numbers_of_some_digits(
    tmp_path: Path, text: str, row: dict[str, str], expected: str
) -> None:
    assert ImageTemplate.parse(text, tmp_path).fill(row) == tmp_path / expected


@pytest.mark.parametrize("cell", ["x7", "1.5", "-3"])
def test_digits_of_what_is_no_whole_number(cell: str) -> None:
    with pytest.raises(UnreadableError, match=f"no whole number, which data.image needs: column 'id' is '{cell}'"):
        ImageTemplate.parse("{id:03d}.png", Path()).fill({"id": cell})


FILES = [
    "s1/2001/a/t1.nii",
    "s1/2002/b/t2.nii",
    "s2/2001/t1.nii",
    "s2/2001/.t1.nii",
    "s10/x/t1_a.nii",
    "s10/x/t1_b.nii",
]


def tree(folder: Path) -> Path:
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


@pytest.mark.parametrize(
    ("text", "subject", "expected"),
    [
        ("{id}/*/?/t1.nii", "s1", "s1/2001/a/t1.nii"),
        ("{id}/200[2-9]/*/*.nii", "s1", "s1/2002/b/t2.nii"),
        ("*/*/*/t2.ni{id}", "i", "s1/2002/b/t2.nii"),
        ("{id}/*/*.nii", "s2", "s2/2001/t1.nii"),
        ("{id}/*/.t1*", "s2", "s2/2001/.t1.nii"),
        ("{id}/[!y]/t1_a*", "s10", "s10/x/t1_a.nii"),
    ],
)
def test_wildcards_stand_for_the_one_file_that_fits(tmp_path: Path, text: str, subject: str, expected: str) -> None:
    assert ImageTemplate.parse(text, tree(tmp_path)).fill({"id": subject}) == tmp_path / expected


@pytest.mark.parametrize(
    ("text", "subject", "reason"),
    [
        ("{id}/*/t1*.nii", "s10", r"2 files fit 's10/\*/t1\*.nii': s10/x/t1_a.nii, s10/x/t1_b.nii; one is needed"),
        ("{id}/*/t3.nii", "s2", r"no file fits 's2/\*/t3.nii'"),
        ("{id}/*/t1.nii", "*", r"no file fits '\*/\*/t1.nii'"),
        ("{id}/*.nii", "s1", "no file fits"),
        ("x/*/{id}.nii", "s1", "no file fits"),
    ],
)
def test_none_and_several_are_told(tmp_path: Path, text: str, subject: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        ImageTemplate.parse(text, tree(tmp_path)).fill({"id": subject})


def test_a_folder_of_the_very_name_is_no_pattern(tmp_path: Path) -> None:
    for folder in ("a[1]", "a1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").touch()
    assert ImageTemplate.parse("a[1]/{id}.png", tmp_path).fill({"id": "x"}) == tmp_path / "a[1]/x.png"
    assert ImageTemplate.parse("a[12]/{id}.png", tmp_path).fill({"id": "x"}) == tmp_path / "a1/x.png"
