"""Specs from the network: how large, how deep, and how much they may ask for."""

import json
import math
from typing import Any

import pytest

from contrasweep.services.service.bounds import MOST, MOST_ITEMS, SPEC_BYTES, Kind, read_spec
from contrasweep.services.spec.yaml import DEEPEST
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, SPECS, changed, parsed


def refusal(body: bytes, kind: Kind = "json") -> str:
    with pytest.raises(UserError) as error:
        read_spec(body, kind)
    assert str(error.value).startswith("spec: ") and "\n" not in str(error.value)
    return str(error.value)


def as_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_ordinary_specs_pass(path: Any) -> None:
    assert read_spec(path.read_bytes(), "yaml")


def test_json_and_yaml_give_the_same_spec() -> None:
    document = changed("data/label", "Größe (cm)")
    assert read_spec(as_json(document), "json") == parsed(document)
    assert read_spec(json.dumps(document, ensure_ascii=False).encode(), "yaml") == parsed(document)


def test_infinity_is_a_value_of_some_parameters() -> None:
    spec = read_spec(as_json(changed("search/fix", {"dynlocrep.lam": math.inf})), "json")
    assert spec.search.fix["dynlocrep.lam"] == math.inf


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b" " * (SPEC_BYTES + 1), "yaml", "larger than 65536 bytes"),
        (b"\xff", "json", "not UTF-8: byte 0 is 0xff"),
        ("name: x".encode("utf-16"), "yaml", "not UTF-8"),
        (b'{"a"', "json", "line 1: not valid JSON"),
        (b'{"a": 1, "a": 2}', "json", "key 'a' appears twice"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "json", "not valid JSON"),
        (b'{"a":' * 10_000, "json", f"nested deeper than {DEEPEST}"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "json", f"nested deeper than {DEEPEST}"),
        (b"[]", "json", "must be a mapping"),
        (b'{"a": 1e13}', "json", "10000000000000.0 is not allowed"),
        (b'{"a": -1e13}', "json", "is not allowed"),
        (b'{"a": NaN}', "json", "nan is not allowed"),
        (b"a: .nan", "yaml", "nan is not allowed"),
        (b'{"a": "\\u0000"}', "json", "holds characters that are not printed"),
        (b'{"a": "\\u202e"}', "json", "holds characters that are not printed"),
        (b'{"a": "\\ud800"}', "json", "holds characters that are not printed"),
        (b'{"a\\n": 1}', "json", "holds characters that are not printed"),
        (b'{"a": "' + b"x" * 501 + b'"}', "json", "has 501 characters; allowed: up to 500"),
        (as_json({"a": [0] * MOST_ITEMS}), "json", "more than 5000 keys and values"),
    ],
)
def test_refuses(body: bytes, kind: Kind, said: str) -> None:
    assert said in refusal(body, kind)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data/transforms", [{"Flip": {}}] * 51),
        ("model/width", 21),
        ("model/depth", 21),
        ("model/head_hidden", 65_537),
        ("model/embedding", 65_537),
        ("training/epochs", 100_001),
        ("training/batch_size", 65_537),
        ("search/override", {"training.epochs": {"low": 5, "high": 100_001}}),
        ("search/points", [{"name": "one", "method": "dynlocrep", "training": {"batch_size": 65_537}}]),
        ("training/cpus_per_worker", 1_025),
        ("training/gpus_per_worker", 65),
        ("search/trials", 10_001),
        ("search/seeds", list(range(101))),
        ("search/parallel", 1_025),
        ("search/racing", {"finalists": 10_001}),
        ("probe", {"linear": {"epochs": 100_001}}),
        ("probe", {"finetune": {"epochs": 100_001}}),
        ("read/probes", [{"linear": {"epochs": n}} for n in range(1, 22)]),
        ("read/probes", [{"linear": {"epochs": 100_001}}]),
        ("budget/hours", 100_001),
    ],
)
def test_nothing_is_asked_for_beyond_bounds(field: str, value: Any) -> None:
    assert "through the service" in refusal(as_json(changed(field, value)))


def test_nor_by_an_option() -> None:
    long = {"a": {}, "b": {"training": {"epochs": 100_001}}}
    assert refusal(as_json(changed("search/choices", {"length": long}))) == (
        "spec: search.choices.length.b: training.epochs: 100001 is not allowed: up to 100000 through the service"
    )


def test_every_bound_is_of_a_field() -> None:
    """A field that is renamed would take its bound with it."""
    document = parsed({**MINIMAL, "probe": "linear", "read": {}}).model_dump()
    for field in MOST:
        section, *_, last = field.split(".")
        inner = document[section]
        assert section == "probe" or last in inner or last in inner.get("racing", {}) or last in inner.get("split", {})
