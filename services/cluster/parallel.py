"""A function over items with Ray Data, one task for each."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ray.data import DataContext

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results in the order of `items`, as they come. Ray must be initialised unless there are no items."""
    if not items:
        return
    import ray.data  # a second to import, and not needed where nothing is left to do

    assert ray.is_initialized(), "this needs Ray initialised by its caller"
    with ray.data.DataContext.current(ordered_context()):
        rows = [{"item": pickle.dumps(item)} for item in items]
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(partial(_call, function), num_cpus=1)
    for row in results.iter_rows():
        yield pickle.loads(row["result"])


def ordered_context() -> "DataContext":
    """Ray Data's settings for us: results in the order of the inputs, nothing printed."""
    import logging

    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context


def _call(function: Callable[[Any], Any], row: dict[str, bytes]) -> dict[str, bytes]:
    return {"result": pickle.dumps(function(pickle.loads(row["item"])))}
