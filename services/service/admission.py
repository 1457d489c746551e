"""A spec from the network is checked in a process of its own, which may take so much and no more.

Libraries build what a spec names while it is checked - networks, losses, transforms - and arguments that are allowed
one by one may together ask for hours or terabytes. The process is forked from one that has the libraries loaded already
(some 0.5 GB), so that it begins at once, and it is killed when its time is over.
"""

import json
import logging
import multiprocessing
import os
import resource
import threading
import traceback
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contrasweep.services.service.bounds import SPEC, Kind, read_spec
from contrasweep.services.service.refusals import Unavailable
from contrasweep.services.spec.roots import place, without_folders
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, spec_of
from contrasweep.trainers.errors import UserError

TIME_S = 90
CPU_S = 30
MEMORY_BYTES = 4 * 2**30
"""Beyond what the libraries take."""
SCAN_S = 5.0
"""For a look at what the transforms make of one scan; those that take longer are left to the cluster."""
AT_ONCE = 2
_PATIENCE_S = 30.0
_LONGEST_REFUSAL = 1_000

log = logging.getLogger("contrasweep.service")
_slots = threading.BoundedSemaphore(AT_ONCE)
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["contrasweep.services.service.preloaded"])


def get_ready() -> None:
    """Load the libraries, in the background, so that the first spec need not wait for them."""
    forkserver.ensure_running()


def admit(body: bytes, kind: Kind, roots: Sequence[Path]) -> LoadedSpec:
    """The spec in a request's body, checked for all that can be known without the cluster. Blocks up to `TIME_S`.

    Raises UserError, in one line that names nothing of this machine, and Unavailable where others' specs are in the
    way.
    """
    if not _slots.acquire(timeout=_PATIENCE_S):
        raise Unavailable("other specs are being checked; try again")
    try:
        answer = _asked(body, kind, roots)
    finally:
        _slots.release()
    if "refused" in answer:
        raise UserError(without_folders(answer["refused"], roots)[:_LONGEST_REFUSAL])
    if "bug" in answer:
        log.warning("a spec could not be checked:\n%s", answer["bug"])
        raise UserError(f"{SPEC}: cannot be checked: {answer['kind']}")
    return LoadedSpec(spec_of(answer["spec"], SPEC), Path(SPEC), Path(answer["base"]))


def _asked(body: bytes, kind: Kind, roots: Sequence[Path]) -> dict[str, Any]:
    """What the process of one spec says, or what has become of it."""
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_check, args=(sender, body, kind, tuple(roots)), daemon=True)
    process.start()
    sender.close()
    try:
        if receiver.poll(TIME_S):
            return dict(json.loads(receiver.recv_bytes()))
        return {"refused": f"{SPEC}: checking it takes longer than {TIME_S} s, which is not allowed"}
    except EOFError:
        return {"refused": f"{SPEC}: checking it takes more time or memory than is allowed"}
    finally:
        process.kill()
        process.join()
        receiver.close()


def _check(sender: Connection, body: bytes, kind: Kind, roots: Sequence[Path]) -> None:
    """The process: says `spec` and `base`, `refused`, or the traceback of a `bug` and its `kind`."""
    _confine_process()
    answer: dict[str, Any]
    try:
        answer = _admitted(read_spec(body, kind), roots)
    except UserError as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"refused": f"{SPEC}: checking it takes more memory than is allowed"}
    except Exception as error:  # whatever a library raises on arguments that nobody thought of
        answer = {"bug": traceback.format_exc(), "kind": type(error).__name__}
    sender.send_bytes(json.dumps(answer).encode())
    os._exit(0)  # the look at a scan may still be under way


def _confine_process() -> None:
    """Limits on this process that it cannot lift again; a GPU is left to who trains on it."""
    import torch

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.nice(5)
    torch.set_num_threads(1)


def _admitted(spec: SweepSpec, roots: Sequence[Path]) -> dict[str, Any]:
    from contrasweep.services.data.validate import check_table
    from contrasweep.services.spec.checks import check_spec

    loaded = place(spec, roots)
    check_spec(loaded, roots)
    check_table(loaded, roots)
    _look_at_scans(loaded, roots)
    return {"spec": loaded.spec.model_dump(), "base": str(loaded.base)}


def _look_at_scans(loaded: LoadedSpec, roots: Sequence[Path]) -> None:
    """Raise what is wrong with the first scan that can be used, if that shows within `SCAN_S`."""
    wrong: list[Exception] = []

    def look() -> None:
        from contrasweep.services.data.validate import list_each, prepared_shapes
        from contrasweep.services.spec.checks import check_image_shapes

        try:
            listed = {options: scans for options, (scans, _) in list_each(loaded, roots).items()}
            check_image_shapes(loaded, prepared_shapes(loaded, listed))
        except Exception as error:
            wrong.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(SCAN_S)
    if wrong:
        raise wrong[0]
