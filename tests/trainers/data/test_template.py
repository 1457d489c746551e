import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.readers import UnreadableError
from trainers.data.template import ImageTemplate
from trainers.errors import UserError


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
    [("scan.png", "names no column"), ("{id.png", "is no template"), ("{id:03d}.png", "more than plain column names")],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ImageTemplate.parse(text, Path())
