"""Log files: every line with its time, complete, from the screen and from training."""

import io
import logging
import re
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.records.logs import driver_log, follow_log, read_log, trial_log
from contrasweep.services.screen.tables import print_table
from contrasweep.trainers.errors import UserError

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ ")


def logged(path: Path) -> list[str]:
    """The log's lines without their times, which are checked."""
    lines = path.read_text().splitlines()
    assert all(STAMP.match(line) for line in lines)
    return [STAMP.sub("", line, count=1) for line in lines]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed_is_logged_as_plain_text_however_narrow_the_screen(tmp_path: Path, terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=20, force_terminal=terminal)
    table = Table("", ("a rather long title", "another one"), (Line(("1", "2")),))
    with driver_log(tmp_path / "log.txt", console):
        console.print("a line that is longer than the screen is wide", style="bold red")
        with Progress(console=console, transient=True) as bar:
            bar.add_task("sweeping", total=3)
            bar.refresh()
            console.print("[bold]meanwhile[/]")
        console.print("")
        print_table(console, table)
    console.print("afterwards")
    lines = logged(tmp_path / "log.txt")
    assert lines[:2] == ["a line that is longer than the screen is wide", "meanwhile"]
    assert [line.split() for line in lines[2:]] == [["a", "rather", "long", "title", "another", "one"], ["1", "2"]]
    assert isinstance(console.file, io.StringIO)
    assert "meanwhile" in console.file.getvalue() and "afterwards" in console.file.getvalue()


def test_a_second_driver_appends(tmp_path: Path) -> None:
    for text in ("one", "two"):
        console = Console(file=io.StringIO())
        with driver_log(tmp_path / "log.txt", console):
            logging.getLogger("contrasweep.sweep").info("trial %s\nbegins", text)
    assert logged(tmp_path / "log.txt") == ["trial one", "begins", "trial two", "begins"]


def test_warnings_stay_on_the_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driver_log(tmp_path / "log.txt", Console(file=io.StringIO())):
        logging.getLogger("contrasweep.outbox").warning("MLflow does not answer")
    assert capsys.readouterr().err == "MLflow does not answer\n"
    assert logged(tmp_path / "log.txt") == ["MLflow does not answer"]


def test_nothing_is_shown_twice_where_the_root_logger_shows_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), driver_log(tmp_path / "log.txt", console := Console(file=io.StringIO())):
        console.print("a line")
    assert logged(tmp_path / "log.txt") == ["a line"]
    assert caplog.records == []


def test_how_it_failed(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    with pytest.raises(UserError), driver_log(tmp_path / "mistake.txt", console):
        raise UserError("data.label: no")
    assert logged(tmp_path / "mistake.txt") == ["failed: data.label: no"]
    with pytest.raises(OSError, match="full"), driver_log(tmp_path / "bug.txt", console):
        raise OSError("disk full")
    lines = logged(tmp_path / "bug.txt")
    assert lines[:2] == ["failed: disk full", "Traceback (most recent call last):"]
    assert lines[-1] == "OSError: disk full"
    with pytest.raises(KeyboardInterrupt), driver_log(tmp_path / "stopped.txt", console):
        raise KeyboardInterrupt
    assert logged(tmp_path / "stopped.txt") == ["interrupted"]


def test_a_configurations_log_has_its_warnings(tmp_path: Path) -> None:
    with trial_log(tmp_path / "trial-0000"):
        logging.getLogger("contrasweep.trial").info("seed 0 epoch 1  loss 0.5")
        warnings.warn("a mean of nothing", RuntimeWarning, stacklevel=1)
    logging.getLogger("contrasweep.trial").info("too late")
    with warnings.catch_warnings(record=True):
        warnings.warn("too late as well", RuntimeWarning, stacklevel=1)
    lines = logged(tmp_path / "trial-0000" / "log.txt")
    assert lines[0] == "seed 0 epoch 1  loss 0.5"
    assert "RuntimeWarning: a mean of nothing" in lines[1]
    assert "too late" not in "".join(lines)


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    assert list(read_log(path)) == []
    path.write_bytes("first · line\n".encode() + b"bad \xff byte\nunfinished")
    assert list(read_log(path)) == ["first · line", "bad \ufffd byte", "unfinished"]


def test_following_to_the_end(tmp_path: Path) -> None:
    path, over = tmp_path / "log.txt", threading.Event()
    read: list[str] = []

    def goes_on() -> Iterator[bool]:
        while not over.wait(0.01):
            yield True
        yield False

    def follow() -> None:
        read.extend(follow_log(path, goes_on()))

    thread = threading.Thread(target=follow)
    thread.start()
    written = "one · line\nanother\nand the last".encode()
    with path.open("ab", buffering=0) as file:
        for byte in written:
            file.write(bytes([byte]))
            time.sleep(0.002)
    over.set()
    thread.join()
    assert read == ["one · line", "another", "and the last"]


def test_a_log_that_there_is_no_room_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.txt").symlink_to("/dev/full")
    with trial_log(tmp_path):
        logging.getLogger("contrasweep.trial").info("an epoch")
    assert capsys.readouterr().err == ""
