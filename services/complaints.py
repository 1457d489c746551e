"""What pydantic found wrong, as the one line that a user reads."""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from contrasweep.services.text import count
from contrasweep.trainers.errors import UserError, nearest

_SCALARS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_FIELD = re.compile(r"^(data\.|(?=\w[\w-]*: ))")
"""Behind it begins a field's name, if a line begins with one."""
_KINDS = {
    "bool_type": _SCALARS[bool],
    "dict_type": "a mapping",
    "float_type": _SCALARS[float],
    "int_type": _SCALARS[int],
    "model_type": "a mapping",
    "string_type": _SCALARS[str],
    "tuple_type": "a list",
}


def complaint(error: ValidationError, model: type[BaseModel]) -> str:
    """The foremost mistake of `error`, raised by `model`: field, value, what is allowed; and how many more."""
    first = foremost(error)
    more = len({_resolve(model, item["loc"])[1] for item in error.errors()} - {_resolve(model, first["loc"])[1]})
    return _line(first, model) + (f"; and {count(more, 'other mistake')}" if more else "")


@contextmanager
def naming_options() -> Iterator[None]:
    """A mistake names the option that was given, not the field of the spec's `data` that it stands for."""
    try:
        yield
    except UserError as error:
        raise UserError(_FIELD.sub("--", str(error))) from None


def foremost(error: ValidationError) -> ErrorDetails:
    """The mistake to tell first: an unknown key if there is one, as a mistyped key also looks like a missing one."""
    return min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")


def _line(item: ErrorDetails, model: type[BaseModel]) -> str:
    annotation, field = _resolve(model, item["loc"])
    prefix = f"{field}: " if field else ""
    if item["type"] == "extra_forbidden":
        return f"{prefix}unknown key; {nearest(str(item['loc'][-1]), _keys(model, item['loc']))}"
    if item["type"] == "missing":
        return f"{prefix}is missing"
    if item["type"] == "value_error":
        return prefix + item["msg"].removeprefix("Value error, ")
    return f"{prefix}{_shown(item['input'])} is not allowed{_allowed(item, annotation)}"


def _allowed(item: ErrorDetails, annotation: Any) -> str:
    """What would have been right: one of several names, a kind, or pydantic's own condition."""
    if item["type"] == "literal_error":
        return f"; {nearest(str(item['input']), map(str, get_args(annotation)))}"
    if _is_union(annotation):
        return f": must be {_either(get_args(annotation))}"
    if item["type"] in _KINDS:
        return f": must be {_KINDS[item['type']]}"
    words = item["msg"]
    for start in ("Input should", "String should", "Value should"):
        words = words.replace(start, "must")
    return f": {words[:1].lower()}{words[1:]}"


def _either(kinds: Sequence[type]) -> str:
    """The kinds of value in words; a number says whole numbers too."""
    told = [_SCALARS[kind] for kind in kinds if kind in _SCALARS and not (kind is int and float in kinds)]
    return told[0] if len(told) == 1 else f"one of: {', '.join(told)}"


def _resolve(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[Any, str]:
    """The annotation at `loc` (for an unknown key: of what holds it) and `loc` as the user writes it."""
    current: Any = model
    field = ""
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            known = current.model_fields.get(str(part))
            current = _plain(known.annotation) if known else current
        elif get_origin(current) in (dict, tuple, Mapping):
            current = _plain([inner for inner in get_args(current) if inner is not Ellipsis][-1])
        elif part in _tagged(current):
            current = _tagged(current)[part]
            continue  # the user wrote the member, and not its tag
        else:
            break  # the rest of loc names a branch of a union, which the user never wrote
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    return current, field


def _plain(annotation: Any) -> Any:
    """`annotation` without Annotated and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if _is_union(annotation):
        inner = [option for option in get_args(annotation) if option is not type(None)]
        return _plain(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _tagged(annotation: Any) -> dict[int | str, Any]:
    """The members of a union that are told apart by tags."""
    members = get_args(annotation) if _is_union(annotation) else ()
    tags = ((extra.tag, _plain(one)) for one in members for extra in getattr(one, "__metadata__", ()) if _is_tag(extra))
    return dict(tags)


def _is_tag(extra: object) -> TypeGuard[Tag]:
    return isinstance(extra, Tag)


def _keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that are allowed beside the unknown one at `loc`.

    The tags of a union are the keys that tell its members apart, but for the member that has none: it is meant where
    none of them is there, and they are allowed, too.
    """
    annotation, _ = _resolve(model, loc)
    assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
    own = [field.alias or name for name, field in annotation.model_fields.items()]
    tags = list(map(str, _tagged(_resolve(model, loc[:-2])[0])))
    return own if set(tags) & set(own) else own + [tag for tag in tags if tag not in loc[-2:]]


def _shown(value: object) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
