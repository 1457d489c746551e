import io
import time

import pytest
from rich.console import Console

from contrasweep.services.screen import waiting as module
from contrasweep.services.screen.waiting import waiting


def screen(*, terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=80), file


def test_what_is_soon_over_is_not_worth_a_line() -> None:
    console, file = screen(terminal=False)
    with waiting(console, "starting"):
        pass
    assert file.getvalue() == ""


def test_a_pipe_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_A_LINE_S", 0.01)
    monkeypatch.setattr(module, "AGAIN_S", 0.02)
    console, file = screen(terminal=False)
    deadline = time.monotonic() + 10
    with waiting(console, "starting [Ray]"):
        while file.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, second, *_ = file.getvalue().splitlines()
    assert (first, second) == ("starting [Ray]", "starting [Ray], 0 s")


def test_a_terminal_shows_it_at_once_and_the_time() -> None:
    console, file = screen(terminal=True)
    with waiting(console, "starting [Ray]"):
        shown = file.getvalue()
    assert "starting [Ray]" in shown and "0:00:00" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_passes(terminal: bool) -> None:
    with pytest.raises(ZeroDivisionError), waiting(screen(terminal=terminal)[0], "dividing"):
        _ = 1 / 0
