from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.table import bound, number, read_table
from trainers.errors import UserError

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
        ("id,age\na,20\nb,20,x\n", "line 3 has more values than the 2 columns"),
        ("id,age\na,12,5\n", "a comma inside a value .* needs a decimal point or quotes"),
        ("id,age,sex\na,20,F\nb,30\n", "line 3 has 2 values for 3 columns; write n/a"),
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
