"""Progress where there is no terminal: one plain line every 30 s."""

import io

import pytest
from rich.console import Console

from contrasweep.services.screen import progress
from contrasweep.services.screen.progress import meter


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def plain() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=400), file


def test_a_line_every_30_s_with_rate_and_time_left(clock: Clock) -> None:
    console, file = plain()
    with meter(console, "sweeping") as shown:
        for second in range(0, 61):
            clock.now_s = 1000.0 + second
            shown.update(second / 2, 100, "1/6 trials [best 4]", "epochs")
    lines = file.getvalue().splitlines()
    assert lines == [
        "sweeping 15/100 epochs 1/6 trials [best 4] 0.5 epochs/s, 170 s left",
        "sweeping 30/100 epochs 1/6 trials [best 4] 0.5 epochs/s, 140 s left",
    ]


def test_what_was_done_before_is_not_the_rate(clock: Clock) -> None:
    console, file = plain()
    with meter(console, "sweeping") as shown:
        shown.update(80, 100, unit="epochs")
        clock.now_s += 40
        shown.update(84, 100, unit="epochs")
    assert file.getvalue() == "sweeping 84/100 epochs 0.1 epochs/s, 160 s left\n"


def test_nothing_done_yet_has_no_time_left(clock: Clock) -> None:
    console, file = plain()
    with meter(console, "preparing") as shown:
        clock.now_s += 31
        shown.update(0, 10)
    assert file.getvalue() == "preparing 0/10\n"


def test_a_bar_on_a_terminal() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True)
    with meter(console, "sweeping") as shown:
        shown.update(3, 6, "3/6 trials", "epochs")
    assert "sweeping" in file.getvalue()
    assert "3/6 trials" in file.getvalue()


@pytest.mark.parametrize(("width", "told"), [(80, False), (120, True)])
def test_a_narrow_terminal_has_times_whole_and_no_rate(width: int, told: bool) -> None:
    file = io.StringIO()
    with meter(Console(file=file, width=width, force_terminal=True, color_system=None), "sweeping") as shown:
        shown.update(0, 100, "2/12 trials · 2 seed runs · best 8.143", "epochs")
    assert ("epochs/s" in file.getvalue()) == told and "0:00:00" in file.getvalue()
