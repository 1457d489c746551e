"""How large a spec may be that came over the network: as bytes, as a document, and in what it asks for."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from contrasweep.services.spec.spec import SweepSpec, spec_of
from contrasweep.services.spec.yaml import DEEPEST, load_mapping
from contrasweep.trainers.errors import UserError

Kind: TypeAlias = Literal["json", "yaml"]

SPEC_BYTES = 64 * 1024
MOST_ITEMS = 5_000
"""Keys and values of a document, all levels together."""
LONGEST_TEXT = 500
LARGEST_NUMBER = 1e12
"""Of whole numbers, and of finite ones."""
SPEC = "spec"

MOST: Mapping[str, float] = {
    "data.transforms": 50,
    "data.split.stratify": 20,
    "data.split.folds": 100,
    "data.split.outer": 100,
    "data.entities": 20,
    "data.external": 20,
    "model.width": 20,
    "model.depth": 20,
    "model.head_hidden": 65_536,
    "model.embedding": 65_536,
    "training.epochs": 100_000,
    "training.batch_size": 65_536,
    "training.augmentations": 50,
    "training.workers": 1_024,
    "training.cpus_per_worker": 1_024,
    "training.gpus_per_worker": 64,
    "probe.linear.epochs": 100_000,
    "probe.linear.batch_size": 65_536,
    "probe.linear.bins": 65_536,
    "probe.finetune.epochs": 100_000,
    "read.probes": 20,
    "read.epochs": 1_000,
    "search.trials": 10_000,
    "search.seeds": 100,
    "search.parallel": 1_024,
    "search.racing.rungs": 1_000,
    "search.racing.finalists": 10_000,
    "budget.hours": 100_000,
    "final.ensemble": 1_000,
}
"""The largest value of a field, or the most entries of it where it is a list or a mapping."""


def read_spec(body: bytes, kind: Kind) -> SweepSpec:
    """The spec in a request's body. Raises UserError, in one line, where it is none, or larger than is allowed."""
    if len(body) > SPEC_BYTES:
        raise UserError(f"{SPEC}: larger than {SPEC_BYTES} bytes, which is not allowed")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{SPEC}: not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from error
    document = load_mapping(text, SPEC) if kind == "yaml" else _load_json(text)
    _check_document(document)
    spec = spec_of(document, SPEC)
    check_most(spec)
    return spec


def _load_json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise UserError(f"{SPEC}: line {error.lineno}: not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise UserError(f"{SPEC}: nested deeper than {DEEPEST}, which is not allowed") from error
    except ValueError as error:  # of numbers with thousands of digits, and of our own hook
        raise UserError(f"{SPEC}: not valid JSON: {str(error).split(';')[0]}") from error
    if not isinstance(document, dict):
        raise UserError(f"{SPEC}: must be a mapping of keys to values, and is a {type(document).__name__}")
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in document if keys.count(key) > 1)!a:.80} appears twice")
    return document


def _check_document(document: dict[str, Any]) -> None:
    """What no field of any component needs: depth, numbers and text without end, characters that nobody sees."""
    for count, (depth, value) in enumerate(_items(document)):
        if count > MOST_ITEMS:
            raise UserError(f"{SPEC}: more than {MOST_ITEMS} keys and values, which is not allowed")
        if depth > DEEPEST:
            raise UserError(f"{SPEC}: nested deeper than {DEEPEST}, which is not allowed")
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, int | float):
            _check_number(value)


def _items(document: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Every key and value, with its depth; without recursion."""
    waiting: list[tuple[int, Any]] = [(0, document)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if isinstance(value, dict):
            waiting += [(depth + 1, inner) for pair in value.items() for inner in pair]
        elif isinstance(value, list | tuple | set):
            waiting += [(depth + 1, inner) for inner in value]


def _check_text(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise UserError(f"{SPEC}: {text[:40]!a}... has {len(text)} characters; allowed: up to {LONGEST_TEXT}")
    if not text.isprintable():
        raise UserError(f"{SPEC}: {text[:60]!a} holds characters that are not printed, which is not allowed")


def _check_number(number: float) -> None:
    if math.isnan(number):
        raise UserError(f"{SPEC}: nan is not allowed as a value of anything")
    if math.isfinite(number) and abs(number) > LARGEST_NUMBER:
        raise UserError(f"{SPEC}: {str(number)[:40]} is not allowed: numbers up to {LARGEST_NUMBER:g} are")


def check_most(spec: SweepSpec) -> None:
    """Raise UserError where a field is larger than is allowed through the service."""
    for place, one in {"": spec, **spec.variants, **spec.points}.items():
        for size in one.sizes:
            _check_most(f"{SPEC}: {place}" if place else SPEC, size.model_dump())
    for probe in spec.read.probes if spec.read else ():
        _check_most(f"{SPEC}: read", {"probe": probe})


def _check_most(where: str, document: Mapping[str, Any]) -> None:
    for field, most in MOST.items():
        value: Any = document
        for key in field.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        sized = isinstance(value, list | tuple | dict)
        size = len(value) if sized else value
        if isinstance(size, int | float) and size > most:
            given = f"{size} entries are not allowed" if sized else f"{value} is not allowed"
            raise UserError(f"{where}: {field}: {given}: up to {most:g} through the service")
