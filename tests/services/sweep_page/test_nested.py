"""The page of a sweep with outer folds, while it runs and once it is over."""

from pathlib import Path

import pytest

from contrasweep.services.records.answers import Final, Pooled, fields_of
from contrasweep.services.records.final_report import Evaluation, PooledReport, read_report
from contrasweep.services.records.folder import OuterFolder, SweepState
from contrasweep.services.sweep_page import render, write
from tests.services.past import leave
from tests.services.screen.test_tables import pooled
from tests.services.sweep_page.left import Left, curves, final_report, picture, study
from tests.services.sweep_page.parsed import Page


@pytest.fixture
def left(tmp_path: Path) -> Left:
    """A sweep with three outer folds, of which the second is under way."""
    left = Left(tmp_path, study(), state="running")
    left.folder.write_state(left.folder.read_state().model_copy(update={"outer": 3, "trials": 4, "ended": 1}))
    for number, state in enumerate(["finished", "running"]):
        part = OuterFolder(left.folder, number)
        part.keep(left.folder.load())
        part.write_state(SweepState(id=part.sweep_id, state=state, trials=4, ended=1 - number, best=5.1))
        storage = Path(left.settings.storage_path) / part.sweep_id
        leave(storage, number, curves(5.0), params={"temperature": 0.1})
    return left


def test_a_sweep_under_way_has_a_leaderboard_for_each_outer_fold(left: Left) -> None:
    page = Page(render(left.settings, left.folder))
    assert "pooled when the search in every outer fold is over" in page.text
    assert "2 of 3" in page.text and "1 of 12 configurations have ended" in page.text
    sweep_id = left.folder.sweep_id
    assert f"Leaderboard of {sweep_id}.0" in page.text and f"Leaderboard of {sweep_id}.1" in page.text
    assert f"Leaderboard of {sweep_id}.2" not in page.text


def test_the_figures_of_everyone_and_who_won(left: Left) -> None:
    told = pooled()
    evaluated = fields_of(Evaluation, final_report((20, 40), 0))
    report = PooledReport(**evaluated, outer=told.outer, between=told.between)
    report.write(left.folder.final)
    (left.folder.path / "figures").mkdir()
    (left.folder.path / "figures/predicted-against-true.png").write_bytes(picture())
    path, summary = write(left.settings, left.folder)
    page = Page(path.read_text())
    assert "Who won in each outer fold" in page.text and "4.50 ± 0.71" in page.text
    assert "supremix" in page.text and "over 2 seeds" not in page.text
    assert "**Test MAE 4.930 [4.020, 5.880]** over 2 subjects" in summary
    assert "s-00000000.0: supremix, test MAE 4.000" in summary


def test_either_kind_of_report_is_read_back(left: Left) -> None:
    final_report((20, 40), 0).write(left.folder.final)
    assert isinstance(read_report(left.folder.final).told(), Final)
    told = pooled()
    evaluated = fields_of(Evaluation, final_report((20, 40), 0))
    PooledReport(**evaluated, outer=told.outer, between=told.between).write(left.folder.final)
    assert isinstance(read_report(left.folder.final).told(), Pooled)
