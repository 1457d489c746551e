import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from contrasweep.services.cli.model import SOME_REJECTED
from contrasweep.services.predicting.answers import COLUMNS
from contrasweep.trainers.served import ServedModel
from tests.services.predicting.asked import run
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


def test_every_scan_has_a_line_and_the_file_what_the_model_says(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [served_sample.picture(tmp_path / f"s{age}.png", age) for age in (30, 60)]
    status, out, err = run(capsys, monkeypatch, "predict", folder, *scans, "--out", "predictions.tsv")
    told, no_intervals, where = out.splitlines()
    assert (status, told, err) == (0, "2 scans predicted by tiny-1c2e, trial 3", "")
    assert no_intervals.startswith("no intervals") and where == "table     predictions.tsv"
    header, *lines = [line.split("\t") for line in Path("predictions.tsv").read_text().splitlines()]
    assert header == list(COLUMNS)
    model = ServedModel.load(folder)
    said = [model.predict(model.preparation.of(served_sample.scan(scan)), {}).prediction for scan in scans]
    assert [(line[0], float(line[1]), line[3:]) for line in lines] == [
        (f"s{age}", value, [*["n/a"] * 7, str(scan)]) for age, value, scan in zip((30, 60), said, scans, strict=True)
    ]


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = served_sample.picture(tmp_path / "good.png")
    other = served_sample.picture(tmp_path / "other.png", shape=(20, 16))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    series = nib.Nifti1Image(np.random.default_rng(0).random((16, 16, 2, 3)).astype(np.float32), np.eye(4))
    series.to_filename(tmp_path / "series.nii.gz")
    bad = [other, tmp_path / "broken.png", tmp_path / "series.nii.gz", tmp_path / "gone.png"]
    status, out, err = run(capsys, monkeypatch, "predict", folder, good, *bad, "--json")
    assert status == SOME_REJECTED
    found = json.loads(out)
    assert [scan["scan"] for scan in found["scans"]] == ["good"]
    assert {one["scan"] for one in found["rejected"]} == {"other", "broken", "series", "gone"}
    assert len(err.splitlines()) == 4 and "rejected  other: shape (1, 20, 16) differs from" in err


def test_many_scans_are_what_few_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [served_sample.picture(tmp_path / f"s{age}.png", age) for age in range(20, 30)]
    *_, many = json.loads(run(capsys, monkeypatch, "predict", folder, *scans, "--json")[1])["scans"]
    (one,) = json.loads(run(capsys, monkeypatch, "predict", folder, scans[-1], "--json")[1])["scans"]
    assert many == one


def test_the_gap_is_told_where_the_table_has_the_label(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served_sample.picture(tmp_path / "s1.png")
    (tmp_path / "t.tsv").write_text("participant_id\tage\ns1\t40\n")
    status, out, _ = run(capsys, monkeypatch, "predict", folder, "--participants", "t.tsv", "--json")
    (said,) = json.loads(out)["scans"]
    assert status == 0 and said["gap"] == said["prediction"] - 40
    shown = run(capsys, monkeypatch, "predict", folder, "--participants", "t.tsv")[1]
    assert "gap" in shown and f"{said['prediction']:.2f}" in shown


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nowhere/model", "no such folder: nowhere/model; allowed: a sweep's id, models:/name/version"),
        ("age-1c2e", "no sweep 'age-1c2e' in"),
        ("models:/age/1", "unknown registered model 'age'; nothing is registered yet"),
        ("s3://bucket/model", "'s3://bucket/model' is not allowed: must be a sweep's id"),
        ("home", "home: holds no model"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(
    model: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    status, _, err = run(capsys, monkeypatch, "predict", model, "a.png")
    assert status == 2 and err.startswith(f"error: {said}") and len(err.splitlines()) == 1


def test_a_file_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = served_sample.picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    status, _, err = run(capsys, monkeypatch, "predict", folder, scan, "--out", "file/p.tsv")
    assert status == 2 and "file/p.tsv cannot be written" in err


@pytest.mark.parametrize("kind", ["gradient", "occlusion"])
def test_a_map_of_each_scan_is_written_in_its_own_space(
    kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = served_sample.picture(tmp_path / "a.png")
    assert run(capsys, monkeypatch, "predict", folder, scan, "--saliency", kind, "--maps", "maps")[0] == 0
    (written,) = Path("maps").iterdir()
    assert written.name == f"a_desc-{kind}_saliency.nii.gz"
    assert nib.Nifti1Image.from_filename(written).shape == (16, 16, 1)
    status, _, err = run(capsys, monkeypatch, "predict", folder, scan, "--saliency", "gradients")
    assert status == 2 and err.startswith("error: --saliency: 'gradients'; did you mean 'gradient'?")
    status, _, err = run(capsys, monkeypatch, "predict", folder, scan, "--maps", "elsewhere")
    assert status == 2 and err.startswith("error: --maps is not allowed without --saliency")
