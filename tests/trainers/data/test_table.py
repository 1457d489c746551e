import datetime
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.data.table import bound, number, read_table
from contrasweep.trainers.errors import UserError

PLAIN = "id,age,note\na,20,x\nb,30,y\n"
CELLS = [{"id": "a", "age": "20", "note": "x"}, {"id": "b", "age": "30", "note": "y"}]


def write(folder: Path, content: bytes | str, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n  \n,,\n",
        '"id","age","note"\n"a","20","x"\n"b","30","y"\n',
        'id, age , note\n a,20 ,"x"\nb,30, "y"\n',
        ",id,age,note\n0,a,20,x\n1,b,30,y\n",
    ],
    ids=["plain", "bom", "crlf", "cr", "no-last-newline", "blank-lines", "quoted", "blanks", "unnamed-index"],
)
def test_the_same_table_is_read_however_it_was_written(tmp_path: Path, content: str) -> None:
    table = read_table(write(tmp_path, content), "data.participants")
    assert table.columns == ("id", "age", "note")
    assert [row.cells for row in table.rows] == CELLS


def test_quotes_protect_separators_and_names_are_composed(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, 'id,"site, city"\nzoe\u0308,"Köln, Süd"\n001,"a ""b"""\n'), "data.participants")
    assert table.columns == ("id", "site, city")
    assert [list(row.cells.values()) for row in table.rows] == [["zo\u00eb", "Köln, Süd"], ["001", 'a "b"']]
    assert [row.line for row in table.rows] == [2, 3]


@pytest.mark.parametrize("name", ["people.tsv", "people.TXT"])
def test_other_tables_are_separated_by_tabs(tmp_path: Path, name: str) -> None:
    table = read_table(write(tmp_path, PLAIN.replace(",", "\t"), name), "data.participants")
    assert [row.cells for row in table.rows] == CELLS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "people.csv has no rows"),
        ("id,age\n", "has no rows; a header and one row for each subject are needed"),
        ("id,age,id\na,20,b\n", "has the column 'id' 2 times"),
        (
            "id;age;sex\na;20;F\n",
            "has one column, 'id;age;sex': it seems to be separated by semicolons; allowed: commas",
        ),
        ("id;age\na;12,5\n", "separated by semicolons"),
        ("id\tage\na\t20\n", "separated by tabs"),
        ('id,age\na,20\n"b,30\nc,40\n', "line 3 cannot be read: .*is a quote .* not closed"),
        ('id,age\n"b"x,30\n', "line 2 cannot be read"),
        (PLAIN.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (PLAIN.encode("utf-16-le"), "no UTF-8 text: line 1 holds a NUL byte"),
        (b"id,age\na,20\nb\0,30\n", "line 3 holds a NUL byte"),
        ("id,site\na,Köln\n".encode("latin-1"), "is not UTF-8: line 2 holds the byte 0xf6; save it as UTF-8"),
        ("id,age\na," + "1" * 200_000 + "\n", "line 2 cannot be read: field larger"),
    ],
)
def test_a_table_that_could_be_misread_is_refused_in_one_line(
    tmp_path: Path, content: bytes | str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_table(write(tmp_path, content), "data.participants")
    assert str(caught.value).startswith("data.participants: ")
    assert "\n" not in str(caught.value)


def test_quotes_hide_no_rows_between_tabs(tmp_path: Path) -> None:
    content = 'id\tage\tnote\na\t20\t"tall\nb\t30\tshort"\nc\t40\tx\n'
    with pytest.raises(UserError, match="line 3 ends a quoted value that runs over several lines"):
        read_table(write(tmp_path, content, "people.tsv"), "data.participants")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_python_writes_it(value: float) -> None:
    assert number(repr(value)) == value


@pytest.mark.parametrize(
    "cell", ["1_000", "１２", "٣", "infinity", "-inf", "nan", "1e999", "12,5", "0x10", "", "1.2.3", "+"]
)
def test_what_only_looks_like_a_number_is_none(cell: str) -> None:
    assert number(cell) is None


@given(st.integers(0, 10**6), st.sampled_from(["{}+", "{} +", ">{}", "> {}", ">={}", "≥{}", "<{}", "≤ {}"]))
def test_a_bound_is_read_from_every_way_to_write_it(value: int, form: str) -> None:
    assert bound(form.format(value)) == value


@pytest.mark.parametrize("cell", ["89", "+89", "89++", "over 89", "80-89", ">", "+", "> 1_0", "89-"])
def test_other_text_is_no_bound(cell: str) -> None:
    assert bound(cell) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,age\na,20\nb,20,x\nc,30\n", "line 3 has more values than the 2 columns"),
        ("id,age\na,20\nb,12,5\nc,30\n", "a comma inside a value .* needs a decimal point or quotes"),
        ("id,age\na,20\nb\nc,30\n", "line 3 has 1 values for 2 columns; write n/a"),
    ],
)
def test_a_row_that_could_be_misread_has_a_problem_and_no_other(tmp_path: Path, content: str, problem: str) -> None:
    rows = read_table(write(tmp_path, content), "data.participants").rows
    assert [row.problem is None for row in rows] == [True, False, True]
    assert re.search(problem, str(rows[1].problem))
    assert [row.cells["age"] for row in rows] == ["20", "n/a", "30"]


TYPED = {
    "id": ["001", "zoe\u0308", "c "],
    "n": [1.0, None, 2.5],
    "k": [1, 2, None],
    "when": [datetime.date(2026, 1, 31), None, None],
}
AS_TEXT = [
    {"id": "001", "n": "1", "k": "1", "when": "2026-01-31"},
    {"id": "zo\u00eb", "n": "", "k": "2", "when": ""},
    {"id": "c", "n": "2.5", "k": "", "when": ""},
]


def test_parquet_is_read_as_text_would_be(tmp_path: Path) -> None:
    pq.write_table(pa.table(TYPED), tmp_path / "people.parquet")
    table = read_table(tmp_path / "people.parquet", "data.participants")
    assert [row.cells for row in table.rows] == AS_TEXT
    assert [row.line for row in table.rows] == [2, 3, 4]


def write_workbook(path: Path, sheets: Sequence[Sequence[Sequence[str | float | None]]]) -> None:
    """An .xlsx with only what the format demands."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    of = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    with zipfile.ZipFile(path, "w") as book:
        overrides = "".join(
            f'<Override PartName="/xl/{part}.xml" ContentType="application/vnd.openxmlformats-officedocument'
            f'.spreadsheetml.{kind}+xml"/>'
            for part, kind in [("workbook", "sheet.main"), *((f"sheet{n}", "worksheet") for n in numbers)]
        )
        rels = "application/vnd.openxmlformats-package.relationships+xml"
        default = f'<Default Extension="rels" ContentType="{rels}"/>'
        book.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types">{default}{overrides}</Types>')
        office = f'<Relationship Id="r1" Type="{of}/officeDocument" Target="xl/workbook.xml"/>'
        book.writestr("_rels/.rels", f'<Relationships xmlns="{package}/relationships">{office}</Relationships>')
        targets = "".join(f'<Relationship Id="r{n}" Type="{of}/worksheet" Target="sheet{n}.xml"/>' for n in numbers)
        relations = f'<Relationships xmlns="{package}/relationships">{targets}</Relationships>'
        book.writestr("xl/_rels/workbook.xml.rels", relations)
        names = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
        workbook = f'<workbook xmlns="{main}" xmlns:r="{of}"><sheets>{names}</sheets></workbook>'
        book.writestr("xl/workbook.xml", workbook)
        for n, rows in zip(numbers, sheets, strict=True):
            lines = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            book.writestr(f"xl/sheet{n}.xml", f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>')


def _cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return "<c/>" if value is None else f"<c><v>{value}</v></c>"


def test_the_first_sheet_of_a_workbook_is_read_as_text_would_be(tmp_path: Path) -> None:
    rows: list[list[str | float | None]] = [
        ["id", "n", "k"],
        ["001", 1.0, 1],
        [None, None, None],
        ["zoe\u0308", None, 2],
        ["c ", 2.5, None],
    ]
    write_workbook(tmp_path / "people.xlsx", [rows, [["other"], [1]]])
    table = read_table(tmp_path / "people.xlsx", "data.participants")
    assert [row.cells for row in table.rows] == [{k: row[k] for k in ("id", "n", "k")} for row in AS_TEXT]
    assert [row.line for row in table.rows] == [2, 4, 5]


@pytest.mark.parametrize("name", ["people.xlsx", "people.xls", "people.parquet"])
def test_what_is_none_of_these_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"data.participants: .*{name} is no (workbook|Parquet file)"):
        read_table(write(tmp_path, PLAIN, name), "data.participants")


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.participants: is a folder: "):
        read_table(tmp_path, "data.participants")
