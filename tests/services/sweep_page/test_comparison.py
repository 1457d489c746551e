"""The page of several sweeps."""

from pathlib import Path

import numpy as np

from contrasweep.services.records.comparison import compare
from contrasweep.services.sweep_page.comparison import best_so_far, render
from tests.services.records.test_comparison import SPEC, changed, side, some
from tests.services.screen.test_comparison import two
from tests.services.sweep_page.parsed import Page

HOSTILE = "<script>alert(1)</script> $\\frac{a$"


def test_it_has_all_that_the_screen_has_and_needs_nothing_beside_itself(tmp_path: Path) -> None:
    page = Page(render(two(tmp_path)))
    assert [text for level, text in page.headings if level == 2] == [
        "What differs",
        "The best of each",
        "The best so far",
    ]
    for said in ("search.trials", "-1.000 ± 0.000 over 2 runs", "1.000 [1.000, 1.000] over 4 subjects"):
        assert said in page.text
    assert not page.of("script") and not [one for one in page.references() if not one.startswith(("data:", "#"))]


def test_curves_are_against_configurations_and_epochs(tmp_path: Path) -> None:
    by_trial, by_epoch = best_so_far(two(tmp_path)).axes
    drawn = [[np.asarray(line.get_xdata()).tolist() for line in axes.get_lines()] for axes in (by_trial, by_epoch)]
    assert drawn == [[[1, 2, 3]] * 2, [[8, 16, 24]] * 2]
    one, other = (np.asarray(line.get_ydata()).tolist() for line in by_epoch.get_lines())
    assert (one, other) == ([6.25, 5.125, 5.125], [5.25, 4.125, 4.125])


def test_what_others_wrote_is_text(tmp_path: Path) -> None:
    sides = [side(some(tmp_path / "one"), SPEC), side(tmp_path / "two", changed(SPEC, label=HOSTILE))]
    page = Page(render(compare(sides)))
    assert HOSTILE in page.text and not page.of("script")
