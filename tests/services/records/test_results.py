import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contrasweep.services import cli
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import OuterFolder, SweepFolder
from contrasweep.services.records.readings import COLUMNS, READINGS, Reading, Weights, write_readings
from contrasweep.services.records.results import read_results, write_results
from contrasweep.services.records.tested import TESTED, Said, write_tested
from contrasweep.services.records.trial_record import read_records, run_folder
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.finetune import FIRST_STAGE
from contrasweep.trainers.history import START
from tests.services.past import EPOCHS, history, leave
from tests.services.sweep_page.left import SEEDS, Left, curves, ensemble_report, final_report, finished, study


def frames(left: Left, folder: Path) -> dict[str, pd.DataFrame]:
    """The tables, from the CSV files."""
    write_results(left.settings, left.folder, folder, None)
    return {path.stem: pd.read_csv(path) for path in sorted(folder.iterdir())}


def test_everything_of_a_finished_sweep_is_there(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    found = frames(left, tmp_path / "out")
    trials = found["trials"]
    assert list(found) == ["epochs", "predictions", "readings", "seed_runs", "trials"]
    assert trials[["rank", "trial", "state"]].to_numpy().tolist() == [
        [1, 0, "complete"],
        [2, 1, "complete"],
        [3, 2, "pruned"],
        [4, 3, "failed"],
    ]
    records = {record.number: record for record in read_records(left.sweep, left.folder.load().spec.plan)}
    assert trials.mae[0] == records[0].objective and trials.sd[0] == pytest.approx(0.1)
    assert trials.params_temperature.tolist()[:2] == [0.1, 0.5] and math.isnan(trials.params_temperature[2])
    assert trials.reason[3] == "Diverged: the loss is nan" and math.isnan(trials.mae[3])
    runs = found["seed_runs"]
    assert len(runs) == 8 and runs.seconds.isna().all() and runs.fold.isna().all()
    assert runs.query("trial == 0").objective.tolist() == [curves(5.0)[seed][-1] for seed in SEEDS]
    epochs = found["epochs"]
    assert len(epochs) == 2 * len(SEEDS) * EPOCHS + 6
    assert epochs.query("trial == 0 and seed == 1").validation_mae.tolist() == curves(5.0)[1]
    predictions = found["predictions"]
    assert predictions.split.unique().tolist() == ["test"] and len(predictions) == 4 * len(SEEDS)
    assert predictions.columns.tolist() == ["trial", "split", "scan", "subject", "label", "run", "prediction"]


def test_numbers_are_to_the_last_digit_infinity_is_one_and_what_is_missing_empty(tmp_path: Path) -> None:
    left = Left(tmp_path / "home", study(), state="running")
    values = [1 / 3, 0.1 + 0.2, math.nan, 2.0]
    leave(left.sweep, 0, {0: values}, params={"lam": math.inf, "kind": "l1"}, training={"batch_size": 32})
    leave(left.sweep, 1, {0: values}, params={"lam": 7.0}, choices={"size": "small"})
    folder = tmp_path / "out"
    found = frames(left, folder)
    assert found["epochs"].validation_mae[:2].tolist() == values[:2]
    lines = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
    assert lines[3][-1] == ""
    first, second = (row for _, row in found["trials"].sort_values("trial").iterrows())
    assert (first.params_lam, second.params_lam, second.choices_size) == (math.inf, 7.0, "small")
    assert ",32," in (folder / "trials.csv").read_text()
    assert found["predictions"].empty


def test_every_stage_and_refitted_run_is_told(tmp_path: Path) -> None:
    left = Left(tmp_path / "home", study(), state="running")
    leave(left.sweep, 0, {0: [4.0, 3.0]})
    history([9.0, 8.0], also={"epoch_s": 1.5}).write(run_folder(left.sweep, 0, Replicate(0)) / FIRST_STAGE)
    history([9.0, 8.0]).write(run_folder(left.sweep, 0, Replicate(1)) / FIRST_STAGE)
    history([5.0]).write(run_folder(left.sweep, 0, Replicate(0, "refit")))
    tables = read_results(left.settings, left.folder)
    runs = tables["seed_runs"].to_pandas()
    assert runs[["run", "epochs", "state"]].to_numpy().tolist() == [
        ["0", 4, "running"],
        ["refit seed 0", 1, "running"],
        ["1", 2, "running"],
    ]
    assert runs.seconds[0] == 3.0 and runs.objective[0] == 3.0
    epochs = tables["epochs"].to_pandas().query("run == '0'")
    assert epochs.stage.tolist() == [FIRST_STAGE] * 2 + ["judged"] * 2


def test_what_a_run_starts_from_is_told_where_it_was_trained(tmp_path: Path) -> None:
    left = Left(tmp_path / "home", study(), state="running")
    leave(left.sweep, 0, {0: [4.0], 1: [4.0]}, start="first")
    trained, taken = (run_folder(left.sweep, 0, Replicate(seed)) / START for seed in (0, 1))
    for folder in (trained, trained / FIRST_STAGE, trained / START):
        history([9.0, 8.0]).write(folder)
    replace(history([9.0, 8.0]), taken="one-1/trial-0000/seed-1").write(taken)
    tables = read_results(left.settings, left.folder)
    assert tables["trials"].to_pandas().start.tolist() == ["first"]
    stages = tables["epochs"].to_pandas().query("epoch == 0")[["run", "stage"]].to_numpy().tolist()
    assert stages == [
        ["0", f"{START}/{START}"],
        ["0", f"{START}/{FIRST_STAGE}"],
        ["0", START],
        ["0", "judged"],
        ["1", "judged"],
    ]


def test_what_others_predict_for_the_test_split_is_there_where_it_was_kept(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    rows = [(trial, "0", f"sub-{place}", 20.0, 30.0) for trial in (0, 1) for place in range(4)]
    columns = dict(zip(("trial", "run", "scan", "label", "prediction"), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), left.folder.final.with_name(TESTED))
    told = read_results(left.settings, left.folder)["predictions"].to_pandas()
    assert len(told) == 4 * len(SEEDS) + 4
    others = told.query("trial == 1")
    assert others.subject.tolist() == [f"sub-{place}" for place in range(4)] and set(others.prediction) == {30.0}


def test_baselines_stand_beside_it(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    report = FinalReport.read(left.folder.final)
    told = report.model_copy(update={"baseline_predictions": {"predict_mean": (50.0,) * len(report.scans)}})
    told.write(left.folder.final)
    table = read_results(left.settings, left.folder)["predictions"].to_pandas()
    baseline = table[table.trial.isna()]
    assert set(baseline.run) == {"predict_mean"} and baseline.label.tolist() == list(report.labels)


def test_runs_of_an_ensemble_are_told_with_their_configurations_and_once(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    report = ensemble_report((20, 40))
    report.write(left.folder.final)
    heard = [
        Said(run.trial or 0, run.own, report.scans, np.array(report.labels), np.zeros(2)) for run in report.weights
    ]
    write_tested(left.folder.path / TESTED, [*heard, heard[0]._replace(trial=1)])
    table = read_results(left.settings, left.folder)["predictions"].to_pandas()
    assert list(zip(table.trial, table.run, strict=True))[::2] == [(0, "1"), (2, "0"), (0, "0"), (1, "1")]
    assert table.prediction.tolist() == [*report.labels * 3, 0.0, 0.0]


def test_outer_folds_are_told_together(tmp_path: Path) -> None:
    left = Left(tmp_path / "home", study())
    for number in (0, 1):
        part = OuterFolder(left.folder, number)
        part.keep(left.folder.load())
        leave(Path(left.settings.storage_path) / part.sweep_id, 0, curves(5.0))
        final_report((20, 40), 0).write(part.final)
    tables = read_results(left.settings, left.folder)
    assert all(table.column_names[0] == "outer" for table in tables.values())
    assert tables["trials"]["outer"].to_pylist() == [0, 1]
    one = read_results(left.settings, SweepFolder.find(left.settings, f"{left.folder.sweep_id}.1"))
    assert "outer" not in one["trials"].column_names and one["predictions"].num_rows == 2 * len(SEEDS)


def read_by(trial: int, run: Replicate, prediction: float) -> Reading:
    labels = np.array([20.0, 40.0])
    weights = Weights(trial, run, 6)
    return Reading(weights, "encoder", "linear(kind=huber)", "test", ["a", "b"], labels, labels + prediction)


def test_readings_are_told_as_they_are_on_disk(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    table = read_results(left.settings, left.folder)["readings"]
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))
    runs = [[read_by(0, Replicate(1), 0.1), read_by(0, Replicate(1), 0.2)], [], [read_by(3, Replicate(1, 0), 0.3)]]
    write_readings(left.folder.final.with_name(READINGS), runs)
    rows = read_results(left.settings, left.folder)["readings"].to_pylist()
    assert len(rows) == 6 and [row["run"] for row in rows[::2]] == ["1", "1", "fold 0 seed 1"]
    values = [3, "fold 0 seed 1", 6, "encoder", "linear(kind=huber)", "test", "b", 40.0, 40.3]
    assert rows[-1] == dict(zip(COLUMNS, values, strict=True))


def test_readings_of_outer_folds_stand_together(tmp_path: Path) -> None:
    left = Left(tmp_path / "home", study())
    for number in (0, 1):
        part = OuterFolder(left.folder, number)
        part.keep(left.folder.load())
    write_readings(OuterFolder(left.folder, 1).final.with_name(READINGS), [[read_by(0, Replicate(1), 0.1)]])
    table = read_results(left.settings, left.folder)["readings"].to_pandas()
    assert table.columns.tolist() == ["outer", *COLUMNS] and table.outer.tolist() == [1, 1]


def test_the_command_writes_both_kinds_and_says_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = finished(tmp_path / "home")
    monkeypatch.setenv("CONTRASWEEP_HOME", str(left.settings.home))
    asked = ["contrasweep", "results", left.folder.sweep_id]
    monkeypatch.setattr("sys.argv", [*asked, "--csv", str(tmp_path / "c"), "--parquet", str(tmp_path / "p")])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert f"{tmp_path / 'c' / 'trials.csv'}  4 rows" in capsys.readouterr().out
    assert pd.read_parquet(tmp_path / "p" / "trials.parquet").trial.tolist() == [0, 1, 2, 3]
    monkeypatch.setattr("sys.argv", asked)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "--csv FOLDER, --parquet FOLDER or both are needed" in capsys.readouterr().err
