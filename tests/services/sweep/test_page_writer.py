import json
import logging
import threading
from pathlib import Path

import pytest

from contrasweep.services.records.drivers import add_driver, read_drivers
from contrasweep.services.records.folder import SweepState
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep import page_writer
from contrasweep.services.sweep.page_writer import PageWriter
from tests.services.past import leave
from tests.services.sweep_page.left import Left, study


class Heard(Tracker):
    """A tracker that remembers what reports it was given."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.summaries: list[str] = []
        self.twice = threading.Event()

    def report(self, page: Path, summary: str) -> None:
        self.summaries.append(summary)
        self.pages.append(page.read_text())
        if len(self.pages) == 2:
            self.twice.set()


@pytest.fixture
def left(tmp_path: Path) -> Left:
    left = Left(tmp_path, study(), state="stopped")
    leave(left.sweep, 0, {0: [9.0]})
    return left


def test_the_page_is_kept_up_to_date_for_as_long_as_the_block(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_writer, "EVERY_S", 0.05)
    monkeypatch.setattr(page_writer, "SHARE", 1e3)
    heard = Heard()
    with PageWriter(left.settings, left.folder, heard).kept_up_to_date():
        assert heard.twice.wait(20)
    assert not [thread for thread in threading.enumerate() if thread.name == "report"]
    assert (left.settings.reports / f"{left.folder.sweep_id}.html").read_text() == heard.pages[-1]


def test_the_last_page_is_of_how_the_sweep_ended(left: Left) -> None:
    heard = Heard()
    state = SweepState(id="study-00000000", state="running")
    state.end_with(RuntimeError("the roof\nfell in"))
    PageWriter(left.settings, left.folder, heard).write(state)
    assert "RuntimeError: the roof fell in" in heard.pages[0] and "failed</span>" in heard.pages[0]


def test_errors_are_logged_once_and_never_raised(left: Left, caplog: pytest.LogCaptureFixture) -> None:
    (left.sweep / "trial-0000/trial.json").unlink()
    (left.sweep / "trial-0000/trial.json").mkdir()
    writer = PageWriter(left.settings, left.folder, Heard())
    with caplog.at_level(logging.WARNING, "contrasweep"):
        for _ in range(3):
            writer.write()
    (record,) = caplog.records
    assert record.message.startswith("the report cannot be written: IsADirectoryError")


def test_every_driver_is_noted(left: Left) -> None:
    add_driver(left.folder, SweepState(id="a-1", state="running", user="ada", attempt=1), {"code": "ab" * 32})
    add_driver(left.folder, SweepState(id="a-1", state="running", user="ada", attempt=2), {"code": "cd" * 32})
    first, second = read_drivers(left.folder)
    assert (first.attempt, second.attempt, second.user) == (1, 2, "ada")
    assert second.digests["code"].startswith("cd") and second.versions["optuna"]
    heard = Heard()
    PageWriter(left.settings, left.folder, heard).write()
    assert "cd" * 32 in heard.pages[0] and "ababababab" in heard.pages[0]
    assert json.dumps(str(left.settings.home)) not in heard.pages[0]
