"""The table of a study, and its verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from contrasweep.services.records.folder import SweepState
from contrasweep.services.studies import study as files
from contrasweep.services.studies.examined import examine, sweep_of, sweeps_of
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.study import StudyConfig
from contrasweep.services.studies.tables import command, footnotes, further_tables, orders, outcome_table, verdict
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import AGES, STUDY, finished, said, study_in

ROWS: list[dict[str, Any]] = STUDY["rows"]
CLAIMED: dict[str, Any] = {"table": None, "dataset": None, "order": ["DynLocRep", "SupReMix", "SimCLR"]}


def outcome_of(study: StudyConfig, home: Path, failed: str = "") -> Outcome:
    settings, folder = finished(home, study, failed=failed)
    return examine(study, folder, settings).outcome()


def test_ours_are_means_over_seeds(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path), tmp_path / "home")
    assert [row.name for row in outcome.rows] == ["DynLocRep", "SupReMix", "SimCLR", "encoder"]
    for row in outcome.rows:
        of_seeds = [np.abs(said(row.name, seed) - AGES).mean() for seed in (0, 1)]
        mae = row.ours["mae"]
        assert mae.value.value == pytest.approx(np.mean(of_seeds)) and mae.sd == pytest.approx(np.std(of_seeds, ddof=1))
        assert mae.value.low < mae.value.value < mae.value.high and row.seeds == 2
    assert (outcome.n, outcome.subjects, outcome.seeds, outcome.data) == (40, 20, 2, "people")


def test_published_are_beside_them(tmp_path: Path) -> None:
    rows = outcome_of(study_in(tmp_path), tmp_path / "home").rows
    assert [str(row.published.get("mae", "")) for row in rows] == ["3.724 ± 0.22", "", "9.6 ± 1.701", ""]
    assert not any("pearson" in row.published for row in rows)


def test_the_order_is_compared(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path), tmp_path / "home")
    assert outcome.order is not None and outcome.order.verdict == "agrees" and outcome.order.tau.value == 1.0
    assert orders(outcome) == ("DynLocRep, SimCLR", "DynLocRep, SimCLR")
    assert verdict(outcome).startswith("our order agrees with the published one: Kendall's tau 1.000 [")


@pytest.mark.parametrize("metrics", [["mae"], ["pearson"]])
def test_a_claimed_order(metrics: list[str], tmp_path: Path) -> None:
    rows = [{"name": name, "method": name.lower()} for name in ("DynLocRep", "SupReMix", "SimCLR")]
    study = study_in(tmp_path, rows=rows, metrics=metrics, **CLAIMED | {"order": ["SimCLR", "SupReMix", "DynLocRep"]})
    outcome = outcome_of(study, tmp_path / "home")
    assert outcome.order is not None and outcome.order.verdict == "disagrees"
    ours = [row.ours[metrics[0]].value.value for row in outcome.rows]
    higher = metrics == ["pearson"]
    assert outcome.order.tau.value == pytest.approx(kendalltau(ours, [1, 2, 3] if higher else [3, 2, 1]).statistic)
    assert orders(outcome) == ("SimCLR, SupReMix, DynLocRep", "DynLocRep, SupReMix, SimCLR")
    assert verdict(outcome).startswith("our order disagrees with the claimed one")


def test_between_claimed_chains_nothing_is(tmp_path: Path) -> None:
    """DynLocRep is the best of all, and the encoder better than SimCLR: each chain is in its order."""
    study = study_in(tmp_path, order=[["encoder", "SimCLR"], ["DynLocRep", "SupReMix"]])
    outcome = outcome_of(study, tmp_path / "home")
    assert outcome.order is not None and outcome.order.tau.value == 1.0
    assert orders(outcome) == ("encoder, SimCLR; DynLocRep, SupReMix",) * 2
    assert "over 4 rows" in verdict(outcome)


def test_a_reading_that_comes_to_the_same_as_another_is_left_out(tmp_path: Path) -> None:
    """Of 4 epochs in place of 50 the first and the 6th are the first, and the 48th is the last, which counts."""
    late = [{"name": f"epoch {n}", "of": "DynLocRep", "read": {"epoch": n}} for n in (48, 6, 1)]
    study = study_in(tmp_path, rows=[*ROWS, *late])
    settings, folder = finished(tmp_path / "home", study)
    seen = examine(study, folder, settings)
    assert [*seen.evidence.points] == [row["name"] for row in ROWS]
    reasons = {row.name: row.reason for row in seen.outcome().rows[-3:]}
    assert reasons["epoch 48"] == "with these data it comes to the same as DynLocRep"
    assert reasons["epoch 1"] == "with these data it comes to the same as epoch 6"
    assert "was not read" in reasons["epoch 6"]


def test_rows_that_failed_say_so(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path), tmp_path / "home", failed="SimCLR")
    assert outcome.rows[2].state == "failed" and not outcome.rows[2].ours
    assert "SimCLR: failed: Diverged: the loss is nan" in footnotes(outcome)
    assert outcome.order is None and verdict(outcome) == "there are not two rows whose order could be compared"
    assert outcome_table(outcome).lines[2].kind == "failed"


def test_only_some_scans_count(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path, where={"label": {"min": 60}}), tmp_path / "home")
    some = AGES >= 60
    of_seeds = [np.abs(said("SimCLR", seed) - AGES)[some].mean() for seed in (0, 1)]
    assert outcome.n == some.sum() and outcome.rows[2].ours["mae"].value.value == pytest.approx(np.mean(of_seeds))


def test_a_part_of_the_scans_has_a_table_of_its_own(tmp_path: Path) -> None:
    study = study_in(
        tmp_path,
        metrics=["ends.mae", "mae", "few.mae"],
        parts={"ends": {"label": [[0, 30], [70, 100]]}, "few": {"shots": "few"}},
        also=[{"table": "fig4d", "setting": "features=before_projection", "method": "dynlocrep"}],
    )
    outcome = outcome_of(study, tmp_path / "home")
    ends = (AGES < 30) | (AGES >= 70)
    of_seeds = [np.abs(said("SimCLR", seed) - AGES)[ends].mean() for seed in (0, 1)]
    assert outcome.rows[2].ours["ends.mae"].value.value == pytest.approx(np.mean(of_seeds))
    assert outcome.order is not None and outcome.order.metric == "ends.mae" and outcome.order.verdict == "agrees"
    assert outcome_table(outcome).titles == ("row", "MAE", "95 % interval", "sd", "published", "seeds")
    of_ends, few, further = further_tables(outcome)
    assert of_ends.caption == f"ends: {ends.sum()} test scans" and of_ends.titles[1] == "MAE (ends)"
    assert few.lines[0].cells[1] == "–" and "few: no test scan is in it" in outcome.lacking
    assert further.lines[0].cells[2:] == ("4.323 ± 0.216",) * 3


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"three.yaml: where: unknown column 'labl'; did you mean 'label'"):
        outcome_of(study_in(tmp_path, where={"labl": {"min": 60}}), tmp_path / "home")


def test_analyses_are_made_and_may_be_the_metric(tmp_path: Path) -> None:
    """Of features there are DynLocRep's alone: what needs all is left out, with its reason."""
    study = study_in(
        tmp_path, analyses=[{"paired": {"reference": "SimCLR"}}, "order"], metrics=["mae", "order.spearman"]
    )
    outcome = outcome_of(study, tmp_path / "home")
    assert any("DynLocRep smaller than SimCLR" in word for word in outcome.words)
    assert len(outcome.lacking) == 1 and outcome.lacking[0].startswith("order: configuration 'SupReMix': its features")
    assert all("order.spearman" not in row.ours for row in outcome.rows)


def test_it_is_read_back(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path), tmp_path / "home", failed="SimCLR")
    assert Outcome.model_validate_json(outcome.to_json()) == outcome


def test_it_tells_how_to_repeat_it(tmp_path: Path) -> None:
    outcome = outcome_of(study_in(tmp_path), tmp_path / "home")
    assert command(outcome) == "contrasweep study run three --data DATA --seeds 2"
    small = outcome.model_copy(update={"quick": True, "data": "phantom"})
    assert command(small) == "contrasweep study run three --quick --seeds 2"


def test_a_study_that_has_not_run_says_how(tmp_path: Path) -> None:
    settings, _ = finished(tmp_path / "home", study_in(tmp_path))
    with pytest.raises(
        UserError, match="study dlr-fig4a-quick: it has not run here; `contrasweep study run dlr-fig4a --quick`"
    ):
        sweep_of(settings, "dlr-fig4a-quick")


def test_one_that_runs_is_followed_and_one_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    settings, folder = finished(tmp_path / "home", study_in(tmp_path), state="stopped")
    with pytest.raises(UserError, match=f"{folder.sweep_id} is stopped; `contrasweep study run three` goes on"):
        sweep_of(settings, "three")
    folder.write_state(SweepState(id=folder.sweep_id, state="running"))
    with (
        folder.driving(),
        pytest.raises(UserError, match=f"running; `contrasweep status {folder.sweep_id} --watch`"),
    ):
        sweep_of(settings, "three")


def test_a_sweep_is_meant_by_the_beginning_of_its_id_and_of_several_all_that_are_none_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    settings, folder = finished(tmp_path / "home", study := study_in(tmp_path))
    study_in(tmp_path, "other")
    for named in (folder.sweep_id[:-3], "three"):
        found, its = sweep_of(settings, named)
        assert (found, its.path) == (study, folder.path)
    with pytest.raises(UserError, match=r"^unknown study 'thre'; .*; study other: it has not run"):
        sweeps_of(settings, ["three", "thre", "other"])


def test_rows_that_are_readings_of_one_training_are_compared(tmp_path: Path) -> None:
    """Of the two, on the same seeds; an analysis finds its figure of each of them, too."""
    study = study_in(
        tmp_path,
        rows=[
            {"name": "DynLocRep", "method": "dynlocrep"},
            {"name": "encoder", "of": "DynLocRep", "read": {"features": "encoder"}},
        ],
        analyses=["paired", "order"],
        metrics=["mae", "order.spearman"],
        paper=None,
        **CLAIMED | {"order": ["DynLocRep", "encoder"]},
    )
    settings, folder = finished(tmp_path / "home", study)
    seen = examine(study, folder, settings)
    assert seen.evidence.points == {"DynLocRep": "dynlocrep", "encoder": "dynlocrep, encoder ridge"}
    (row,) = seen.findings["paired"].tables["Differences in MAE"].rows
    errors = [np.mean([np.abs(said(name, seed) - AGES) for seed in (0, 1)]) for name in ("DynLocRep", "encoder")]
    assert row[:3] == ("DynLocRep", "encoder", 2) and row[3] == pytest.approx(errors[0] - errors[1])
    outcome = seen.outcome()
    assert outcome.order is not None and outcome.order.verdict == "agrees"
    assert all("order.spearman" in one.ours for one in outcome.rows)
