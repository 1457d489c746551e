"""YAML that means harm, or is plainly wrong, is a UserError in one line: soon, and whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.services.spec.yaml import DEEPEST, load_mapping
from contrasweep.trainers.errors import UserError

REFUSED: dict[str, str | bytes] = {
    "alias bomb": 'a: &a ["x", "x"]\nb: &b [*a, *a]\nc: [*b, *b]',
    "alias to itself": "&a [*a]",
    "merge key": "<<: {a: 1}\nb: 2",
    "merge key of a key": "a: 1\n<<: {a: 2}",
    "key twice": "a: 1\na: 2",
    "key that is a list": "? [a]\n: 1",
    "many open brackets": "a: " + "[" * 60_000,
    "deep list": "a: " + "[" * 3_000 + "]" * 3_000,
    "deep mapping": "{a: " * 10_000,
    "deep JSON": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "deep block": "- " * 20_000,
    "deep indentation": "".join(" " * depth + "a:\n" for depth in range(300)),
    "questions": "? " * 10_000,
    "Python object": "a: !!python/object/apply:os.system ['x']",
    "Python name": "a: !!python/name:os.system",
    "own tag": "a: !foo 1",
    "tag of a class": "!!python/object/new:type {}",
    "tag int": "a: !!int x",
    "empty int": "a: !!int ''",
    "lone sign": "a: !!int '-'",
    "tag float": "a: !!float x",
    "tag bool": "a: !!bool x",
    "tag timestamp": "a: !!timestamp x",
    "tag map": "a: !!map [1]",
    "tag seq": "a: !!seq {b: 1}",
    "tag omap": "a: !!omap [1]",
    "huge whole number": "a: " + "1" * 5_000,
    "huge hexadecimal": "a: 0x" + "f" * 50_000,
    "huge binary": "a: 0b" + "1" * 9_000,
    "huge sexagesimal": "a: 1" + ":59" * 20_000,
    "65 bits": f"a: {2**63}",
    "no digits": "a: 0x_",
    "no month": "a: 2020-13-45",
    "no hour": "a: 2020-01-01T99:99:99Z",
    "no offset": "a: 2001-12-14t21:59:43.10+99:99",
    "NUL": 'a: "\0"',
    "not UTF-8": b"a: \xff\xfe\xff",
    "half UTF-16": b"\xff\xfea",
    "UTF-32": "a: 1".encode("utf-32"),
    "surrogate": "a: \ud800",
    "no such character": 'a: "\\U00110000"',
    "no such character at all": 'a: "\\UFFFFFFFF"',
    "two documents": "a: 1\n---\nb: 2",
    "version": "%YAML 9.9\n---\na: 1",
    "huge version": "%YAML 1." + "1" * 5_000 + "\n---\na: 1",
    "quotes": '"' * 60_000,
    "exclamations": "!" * 60_000,
    "ampersands": "&" * 60_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_and_soon(name: str) -> None:
    with pytest.raises(UserError) as error:
        load_mapping(REFUSED[name], "study.yaml")
    assert str(error.value).startswith("study.yaml: ") and "\n" not in str(error.value)


@given(st.one_of(st.text(), st.binary(), st.text("{}[]:,-?!&*|>'\"%@ \n#ab01.", max_size=60)))
def test_whatever_it_is(text: str | bytes) -> None:
    try:
        load_mapping(text, "study.yaml")
    except UserError as error:
        assert "\n" not in str(error)


def test_what_is_wrong_with_a_value_is_told_with_its_line() -> None:
    with pytest.raises(UserError, match=r"^s: line 2: not valid YAML: no timestamp that can be read$"):
        load_mapping("a: 1\nb: 2020-13-45", "s")
    with pytest.raises(UserError, match=r"^s: line 1: not valid YAML: a number of more than 64 bits$"):
        load_mapping(f"a: -{2**63 + 1}", "s")


def test_as_deep_as_is_allowed() -> None:
    assert load_mapping("a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1), "s")
    with pytest.raises(UserError, match=f"nested deeper than {DEEPEST}, which is not allowed"):
        load_mapping("a: " + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "s")


def test_the_largest_whole_numbers() -> None:
    assert load_mapping(f"a: {2**63 - 1}\nb: {-(2**63)}", "s") == {
        "a": 2**63 - 1,
        "b": -(2**63),
    }


def test_on_is_a_word_where_it_is_a_key() -> None:
    assert load_mapping("on: id\nwas: on", "s") == {"on": "id", "was": True}
