import json
import subprocess
import sys
from pathlib import Path

import pytest

from contrasweep.services.cli import bids_app
from contrasweep.services.cli.model import SOME_REJECTED
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


@pytest.fixture
def data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people, one of two sessions, and one whose picture is broken."""
    for name in ("sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01/ses-2/anat/sub-01_ses-2_T1w", "sub-02/anat/sub-02_T1w"):
        served_sample.picture(tmp_path / f"data/{name}.png")
    (tmp_path / "data/sub-03/anat").mkdir(parents=True)
    (tmp_path / "data/sub-03/anat/sub-03_T1w.png").write_bytes(b"no picture")
    (tmp_path / "data/participants.tsv").write_text("participant_id\tage\nsub-02\t40\n")
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    return tmp_path / "data"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["contrasweep-predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        bids_app.main()
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_participants_have_a_file_each_and_the_group_a_table_of_them(
    model: Path, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    level = (data_set, out, "participant", "--model", model, "--suffix", "T1w")
    status, said, err = run(capsys, monkeypatch, *level)
    assert (status, said) == (SOME_REJECTED, f"3 scans predicted, 1 rejected -> {out}\n")
    assert err.startswith("rejected  sub-03: is no PNG")
    written = {path.relative_to(out).as_posix() for path in out.rglob("*.json")}
    assert written == {
        "dataset_description.json",
        "sub-01/ses-1/anat/sub-01_ses-1_desc-age_prediction.json",
        "sub-01/ses-2/anat/sub-01_ses-2_desc-age_prediction.json",
        "sub-02/anat/sub-02_desc-age_prediction.json",
        "sub-03/anat/sub-03_desc-age_prediction.json",
    }
    told = json.loads((out / "sub-02/anat/sub-02_desc-age_prediction.json").read_text())
    assert told["Sources"] == ["bids:raw:sub-02/anat/sub-02_T1w.png"] and told["gap"] == told["prediction"] - 40
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["DatasetLinks"] == {"raw": "../data"}
    assert run(capsys, monkeypatch, data_set, out, "group")[:2] == (0, f"{out}/predictions.tsv: 4 scans\n")
    header, *lines = [line.split("\t") for line in (out / "predictions.tsv").read_text().splitlines()]
    assert [line[0] for line in lines] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03"]
    assert float(lines[2][header.index("prediction")]) == told["prediction"]
    assert lines[3][header.index("rejected")].startswith("is no PNG")
    assert {*header} < {*json.loads((out / "predictions.json").read_text())}


def test_some_participants_alone(
    model: Path, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    level = (data_set, tmp_path / "out", "participant", "--model", model, "--suffix", "T1w")
    status, said, _ = run(capsys, monkeypatch, *level, "--participant_label", "01", "sub-02")
    assert status == 0 and said.startswith("3 scans predicted, 0 rejected")
    status, _, err = run(capsys, monkeypatch, *level, "--participant-label", "04")
    assert status == 2 and err.startswith(f"error: --participant-label: {data_set} has no subject 'sub-04'; did you")


def test_what_is_missing_is_one_line(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = run(capsys, monkeypatch, data_set, tmp_path / "out", "participant")
    assert status == 2 and err.startswith("error: --model is missing")
    status, _, err = run(capsys, monkeypatch, data_set, tmp_path / "out", "group")
    assert status == 2 and "holds no predictions of participants; run the level participant first" in err


def test_a_data_set_is_no_place_to_write_into(
    model: Path, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    level = ("participant", "--model", model, "--suffix", "T1w")
    status, _, err = run(capsys, monkeypatch, data_set, data_set / "../data", *level)
    assert status == 2 and "is the data set, which is only read" in err
    assert not (data_set / "dataset_description.json").exists()
    for content in ('{"Name": "fMRIPrep"}', "[]", "no JSON"):
        (tmp_path / "dataset_description.json").write_text(content)
        status, _, err = run(capsys, monkeypatch, data_set, tmp_path, *level)
        assert status == 2 and "is of another data set, and stays" in err
        assert (tmp_path / "dataset_description.json").read_text() == content


def test_it_runs_as_a_module() -> None:
    program = [sys.executable, "-m", "contrasweep.services.cli.bids_app", "--version"]
    assert subprocess.run(program, capture_output=True, text=True).stdout == "contrasweep 0.1.0\n"
