"""YAML without surprises: no duplicate keys, no aliases, keys are text, and 1e-4 and inf are numbers.

Nothing is nested deeper than `DEEPEST`, and whole numbers fit into 64 bits: whatever the text, what is wrong with it is
a UserError.
"""

import re
from typing import Any

import yaml

from contrasweep.trainers.errors import UserError

_NUMBER = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
    |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?\.?(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_NUMBER_STARTS = list("-+0123456789.iI")
DEEPEST = 50


class _Loader(yaml.SafeLoader):
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="aliases are not allowed; write the value out", problem_mark=self.get_mark()
            )
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {DEEPEST}, which is not allowed", problem_mark=self.get_mark()
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:  # of dates, and values of tags
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"no {kind} that can be read", problem_mark=node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(problem="no mapping", problem_mark=node.start_mark)
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value == "on":  # a word, as in `data.join`; YAML 1.1 takes it for true
                key_node.tag = "tag:yaml.org,2002:str"
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} is not text; put it in quotes", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = int(super().construct_yaml_int(node))
        if not -(2**63) <= number < 2**63:
            raise yaml.MarkedYAMLError(problem="a number of more than 64 bits", problem_mark=node.start_mark)
        return number

    def construct_float(self, node: yaml.ScalarNode) -> float:
        text = str(self.construct_scalar(node)).replace("_", "").lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, _NUMBER_STARTS)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_float)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, _NUMBER_STARTS)


def load_mapping(text: str | bytes, source: str) -> dict[str, Any]:
    """The mapping that `text` holds. Raises UserError naming `source` and the line where there is none."""
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{source}:{line} not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # not all of YAML's own are YAML errors
        raise UserError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        kind = "empty" if document is None else f"a {type(document).__name__}"
        raise UserError(f"{source}: must be a mapping of keys to values, and is {kind}")
    return document


def dump_mapping(mapping: dict[str, Any]) -> str:
    """`mapping` as YAML, keys in their order; `load_mapping` gives it back."""
    return yaml.dump(mapping, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
