"""A function over items, one task for each: in processes of this machine, or on the cluster that was joined."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from services.cluster.connect import has_joined
from trainers.errors import UserError

if TYPE_CHECKING:
    from ray.data import DataContext

Item = TypeVar("Item")
Result = TypeVar("Result")


_PRELOADED = ["services.data.prepare", "monai.transforms"]
"""What takes seconds to import: one process does, and those that work are copies of it."""
_THREADS = "OMP_NUM_THREADS"
_DEAF = signal.SIGINT, signal.SIG_IGN
"""An interrupt is the caller's, who ends the processes."""


def parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results in the order of `items`, as they come.

    Raises UserError where a process of this machine was killed.
    """
    if not items:
        return iter(())
    return _on_the_cluster(function, items) if has_joined() else _in_processes(function, items)


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """A process of one thread for each CPU; a closed iterator ends them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    processes = min(len(items), len(os.sched_getaffinity(0)))
    with _one_thread(), ProcessPoolExecutor(processes, context, signal.signal, _DEAF) as pool:
        before = set(multiprocessing.active_children())
        try:
            for future in [pool.submit(function, item) for item in items]:
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError("a process was killed, as when memory runs out; what was done is kept") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started in the block compute with one thread each."""
    given = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = given


def _on_the_cluster(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    import ray.data

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
