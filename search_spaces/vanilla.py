"""Direct regression, end to end: the baseline."""

from collections.abc import Mapping

from search_spaces._regression import check_head, head
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = head("l1")


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Nothing: what kind of error is minimised is the baseline's definition, and stays unless overridden."""
    return {}


def check(params: Mapping[str, Value], context: Context) -> None:
    """The bend is above 0 and finite, and there are two label bins or more."""
    check_head(params, "vanilla")
