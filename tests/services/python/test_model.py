from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import contrasweep
from contrasweep.services.predicting.answers import COLUMNS
from tests.services.predicting.asked import run as run_command
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


@pytest.fixture
def table(tmp_path: Path) -> str:
    for age in (30, 60):
        served_sample.picture(tmp_path / f"s{age}.png", age)
    (tmp_path / "t.tsv").write_text("participant_id\tage\ns30\t30\ns60\tn/a\n")
    return "t.tsv"


def test_predictions_are_those_of_the_command(
    folder: Path, table: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = contrasweep.load(folder).predict(participants=table)
    run_command(capsys, monkeypatch, "predict", folder, "--participants", table, "--out", "predictions.tsv")
    pd.testing.assert_frame_equal(said.replace("", np.nan), pd.read_csv("predictions.tsv", sep="\t"), check_dtype=False)
    assert list(said) == list(COLUMNS) and said.attrs == {"rejected": []}
    assert said.select_dtypes("float64").columns.tolist() == list(COLUMNS[1:9])


def test_one_file_or_several(folder: Path, tmp_path: Path) -> None:
    paths = [served_sample.picture(tmp_path / f"s{age}.png", age) for age in (30, 60)]
    model = contrasweep.load(str(folder))
    both = model.predict(iter(paths))
    assert both.scan.tolist() == ["s30", "s60"] and both.label.isna().all()
    assert model.predict(str(paths[1])).prediction.tolist() == both.prediction.tolist()[1:]


def test_what_cannot_be_used_is_warned_about_where_it_was_asked_for(folder: Path, tmp_path: Path) -> None:
    good, bad = served_sample.picture(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    model = contrasweep.load(folder)
    for ask in (model.predict, model.embeddings):
        with pytest.warns(UserWarning, match=r"rejected bad: .* \(.*/bad\.png\)") as told:
            said = ask([good, bad])
        assert [Path(one.filename) for one in told] == [Path(__file__)] and len(said) == 1
        (rejected,) = said.attrs["rejected"]
        assert (rejected["scan"], rejected["path"]) == ("bad", str(bad)) and "\n" not in rejected["reason"]
        said.to_parquet("kept.parquet")
        assert pd.read_parquet("kept.parquet").attrs == said.attrs


def test_embeddings_have_a_column_of_arrays_for_each_run(folder: Path, table: str) -> None:
    said = contrasweep.load(folder).embeddings(participants=table)
    assert said.index.name == "scan" and said.index.tolist() == ["s30", "s60"]
    assert list(said)[:5] == ["subject", "session", "path", "label", "prediction"]
    features = np.stack(said["features_seed_1"])
    assert features.shape[0] == 2 and features.dtype == np.float32


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda model: model.predict(), "nothing is given; one of SCANS"),
        (lambda model: model.embeddings([]), "nothing is given; one of SCANS"),
        (lambda model: model.embeddings(), "no scans are named, and the model's sweep, tiny-1c2e, is not in"),
        (lambda model: model.export("onyx", "m"), "'onyx'"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, ask: object, said: str) -> None:
    assert callable(ask)
    with pytest.raises(contrasweep.UserError, match=said) as raised:
        ask(contrasweep.load(folder))
    assert "\n" not in str(raised.value)


def test_a_model_that_is_not_there_is_told_as_it_is_loaded() -> None:
    with pytest.raises(contrasweep.UserError, match="no such folder: nowhere/model"):
        contrasweep.load("nowhere/model")


def test_a_cohort_is_evaluated(folder: Path, tmp_path: Path) -> None:
    for age in (30, 60):
        served_sample.picture(tmp_path / f"s{age}.png", age)
    (tmp_path / "t.tsv").write_text("participant_id\tage\tsex\ns30\t30\tF\ns60\t60\tM\n")
    model = contrasweep.load(folder)
    report = model.evaluate("adni", participants="t.tsv", by="sex", out=tmp_path)
    assert report.figures.scans == 2 and "sex" in report.figures.groups
    assert (tmp_path / "adni.html").exists()


def test_a_model_is_exported(folder: Path, tmp_path: Path) -> None:
    assert contrasweep.load(folder).export("safetensors", "m.safetensors") == Path("m.safetensors")
    assert (tmp_path / "m.safetensors").exists()
