"""Ctrl-C, SIGTERM and SIGHUP, in this process and in one whose terminal is closed."""

import os
import pty
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from contrasweep.services.sweep.signals import interruption, termination

pytestmark = pytest.mark.usefixtures("signals_as_in_a_terminal")
ENDING = [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_termination_is_as_ctrl_c(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), termination():
        os.kill(os.getpid(), number)
        time.sleep(10)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_the_first_is_said_and_noted_and_the_second_ends(number: signal.Signals) -> None:
    said = threading.Event()
    with pytest.raises(KeyboardInterrupt), interruption(said.set) as asked:
        os.kill(os.getpid(), number)
        assert said.wait(10) and asked.is_set()
        os.kill(os.getpid(), number)
        time.sleep(10)


def test_nothing_is_said_where_nobody_asks() -> None:
    said = threading.Event()
    with interruption(said.set) as asked:
        assert not asked.is_set()
    assert not said.is_set()


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination(), interruption(lambda: None) as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN and not asked.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


IN_A_TERMINAL = """
import sys
from pathlib import Path
from contrasweep.services.sweep.signals import interruption

with interruption(lambda: print("stopping", flush=True)) as asked:
    print("ready", flush=True)
    asked.wait(60)
print("stopped", flush=True)
Path(sys.argv[1]).write_text("to its end")
"""


def test_who_prints_on_a_terminal_that_is_closed_gets_to_its_end(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", IN_A_TERMINAL, str(tmp_path / "told")])
    while b"ready" not in os.read(terminal, 1024):
        pass
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "told").read_text() == "to its end"
