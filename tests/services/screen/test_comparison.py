"""Sweeps side by side, as they are printed."""

import io
from pathlib import Path

from rich.console import Console

from contrasweep.services.records.answers import Comparison
from contrasweep.services.records.comparison import compare
from contrasweep.services.screen.comparison import BARS, print_comparison, progress_table
from tests.services.past import leave
from tests.services.records.test_comparison import LABELS, SPEC, changed, side, some


def two(home: Path) -> Comparison:
    better = SPEC.searching(trials=60)
    predicted = {0: (21.0, 41.0, 61.0, 81.0)}
    sides = [(some(home / "one"), SPEC, {0: LABELS}), (some(home / "two", -1.0), better, predicted)]
    return compare([side(sweep, study, predicted=said) for sweep, study, said in sides])


def printed(comparison: Comparison) -> list[str]:
    """The lines, with one blank between words."""
    file = io.StringIO()
    print_comparison(Console(file=file, width=30, no_color=True, highlight=False), comparison)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_two_sweeps(tmp_path: Path) -> None:
    lines = printed(two(tmp_path))
    assert "search.trials 30 60" in lines
    assert "the best two 1 4.12 ± 0.18 2/2 complete -1.000 ± 0.000 over 2 runs" in lines
    assert "supremix one 2 7.000 ± 0.000 2/2 complete" in lines
    test = next(line for line in lines if line.startswith("test split two"))
    assert test.endswith("1.000 [1.000, 1.000] over 4 subjects")
    assert lines[-2:] == [
        "differences are to one: below 0 its figure is the larger one",
        "the best on the validation split was chosen by it, and is too good: one, two",
    ]


def test_what_cannot_be_paired_is_said_with_the_reason(tmp_path: Path) -> None:
    sides = [side(some(tmp_path / "one"), SPEC), side(some(tmp_path / "two"), changed(SPEC, label="sex"))]
    lines = printed(compare(sides))
    assert lines[-2:] == [
        "two is not paired with one on the validation split: other label: age and sex",
        "two is not paired with one on the test split: other label: age and sex",
    ]
    assert not any("over 2 runs" in line for line in lines)


def test_searches_are_drawn_on_one_scale(tmp_path: Path) -> None:
    """Of one label; each as long as it went."""
    leave(tmp_path / "one", 0, {0: [3.0] * 2}, state="pruned")
    for number, level in enumerate([9.0, 5.0, 5.5, 1.0], start=1):
        leave(tmp_path / "one", number, {0: [level] * 4, 1: [level] * 4})
    leave(tmp_path / "two", 0, {0: [5.0] * 4, 1: [5.0] * 4})
    one, other = progress_table(compare([side(tmp_path / name, SPEC) for name in ("one", "two")])).lines
    high, middle, low = BARS[-1], BARS[4], BARS[0]
    assert one.cells == ("one", f" {high}{middle}{middle}{low}", one.cells[2], "9.000 to 1.000", "5 trials, 34 epochs")
    assert one.cells[2] == " " * 9 + high * 8 + middle * 16 + low
    assert (other.cells[1], other.cells[2]) == (middle, " " * 7 + middle)


def test_a_long_search_is_no_wider_than_the_screen(tmp_path: Path) -> None:
    for number in range(90):
        leave(tmp_path / "one", number, {0: [9.0 - number / 90] * 4, 1: [9.0] * 4})
    some(tmp_path / "two")
    one, other = progress_table(compare([side(tmp_path / name, SPEC) for name in ("one", "two")])).lines
    assert [len(cell) for cell in one.cells[1:3]] == [40, 40]
    assert [len(cell) for cell in other.cells[1:3]] == [2, 2], "3 of 90"


def test_nothing_has_begun(tmp_path: Path) -> None:
    lines = printed(compare([side(tmp_path / name, SPEC) for name in ("one", "two")]))
    assert lines == ["two is not paired with one on the test split: one has no final figure yet"]
