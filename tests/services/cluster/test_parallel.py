"""Items in processes of this machine, as where no cluster is joined."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from contrasweep.services.cluster.parallel import parallel
from contrasweep.trainers.errors import UserError


def slept(item: tuple[float, int]) -> tuple[int, int]:
    seconds, number = item
    time.sleep(seconds)
    return number, os.getpid()


def touched(path: Path) -> None:
    path.touch()
    time.sleep(60)


def killed(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(number: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def test_results_come_in_the_order_of_the_items_from_other_processes() -> None:
    found = list(parallel(slept, [(0.2, 0), (0.0, 1), (0.1, 2), (0.0, 3)]))
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert os.getpid() not in {process for _, process in found}


def test_nothing_is_started_for_no_items() -> None:
    assert list(parallel(slept, [])) == []


def test_each_process_has_one_thread_and_the_caller_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert list(parallel(threads, [0])) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_process_that_is_killed_is_one_line() -> None:
    with pytest.raises(UserError, match="a process was killed, as when memory runs out"):
        list(parallel(killed, range(6)))
    assert list(parallel(killed, [0, 1])) == [0, 1], "the next has processes of its own"


SCRIPT = """
from contrasweep.services.cluster.parallel import parallel
from tests.services.cluster.test_parallel import threads
print(*parallel(threads, [0, 1]))
"""


def test_a_script_that_guards_nothing_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(__file__).parents[3])])
    said = subprocess.run(
        [sys.executable, tmp_path / "script.py"], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "1 1\n", "")


ABANDONED = """
import sys; from pathlib import Path
from contrasweep.services.cluster.parallel import parallel
from tests.services.cluster.test_parallel import named
next(parallel(named, [Path(sys.argv[1]) / "a", Path(sys.argv[1]) / "b"]))
"""


def named(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


def test_processes_end_with_a_caller_that_was_killed(tmp_path: Path) -> None:
    caller = subprocess.Popen([sys.executable, "-c", ABANDONED, str(tmp_path)])
    wait_for(lambda: [path for path in (tmp_path / "a", tmp_path / "b") if path.exists() and path.read_text()] != [])
    caller.kill()
    caller.wait()
    started = [int(path.read_text()) for path in tmp_path.iterdir()]
    wait_for(lambda: not any(map(psutil.pid_exists, started)))


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 40
    while not happened():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.1)


def test_who_stops_listening_waits_for_nobody(tmp_path: Path) -> None:
    results = parallel(touched, [tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    began = time.monotonic()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before, given = set(multiprocessing.active_children()), signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    finally:
        signal.signal(signal.SIGALRM, given)
    assert time.monotonic() - began < 20
    assert not set(multiprocessing.active_children()) - before
