"""A function over items, one task for each: in processes of this machine, or on the cluster that was joined."""

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import forkserver
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from contrasweep.services.cluster.connect import has_joined
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from ray.data import DataContext

Item = TypeVar("Item")
Result = TypeVar("Result")


_PRELOADED = ["contrasweep.services.cluster.interruptible", "contrasweep.services.data.prepare", "monai.transforms"]
"""What takes seconds to import: one process does, and those that work are copies of it."""
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""Each process computes with one thread, and keeps an image's memory for the next: to give it back takes longer."""


def parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
    """The results in the order of `items`, as they come; closed before the last, it ends what is under way.

    Raises UserError where a process of this machine was killed.
    """
    if items:
        yield from _on_the_cluster(function, items) if has_joined() else _in_processes(function, items)


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """A process of one thread for each CPU."""
    processes = min(len(items), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(processes, _processes(), _depend_on_the_caller) as pool:
        before = set(multiprocessing.active_children())
        try:
            with _without_program():
                futures = [pool.submit(function, item) for item in items]
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError("a process was killed, as when memory runs out; what was done is kept") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
                process.join()


@contextmanager
def _without_program() -> Iterator[None]:
    """For as long as the block, processes that are made do not import the caller's program.

    They need nothing of it, and a script that has no `if __name__ == "__main__":` would run in each of them.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _depend_on_the_caller() -> None:
    """End with the process that works are done for, however it ends; an interrupt is its own, who ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_the_caller, daemon=True).start()


def _end_with_the_caller() -> None:
    caller = multiprocessing.parent_process()
    assert caller, "this is a process of a pool"
    caller.join()
    os._exit(1)


def expect_items() -> None:
    """Begin to import what processes of this machine will need, beside whatever is done until then."""
    if not has_joined():
        _processes()


def _processes() -> "ForkServerContext":
    """What makes processes; the one that they are copies of is there, or on its way."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    given = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    forkserver.ensure_running()
    for name, value in given.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    return context


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
