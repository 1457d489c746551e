from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from contrasweep.services.cli.model import SOME_REJECTED
from contrasweep.trainers.served import ServedModel
from tests.services.predicting.asked import run
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


def test_each_run_has_a_column_of_the_features_that_the_model_has(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("s1_a", "s1_b"):
        served_sample.picture(tmp_path / f"{name}.png", 30 + len(name))
    (tmp_path / "t.tsv").write_text("participant_id\tvisit\tage\ns1\ta\t30\ns1\tb\tn/a\n")
    told = ("--participants", "t.tsv", "--session", "visit", "--image", "{participant_id}_{visit}.png")
    status, out, err = run(capsys, monkeypatch, "embed", folder, *told, "--out", "e.parquet")
    assert (status, out, err) == (0, "2 scans embedded by tiny-1c2e, trial 3: e.parquet\n", "")
    table = pd.read_parquet("e.parquet")
    assert table[["scan", "subject", "session", "path"]].to_numpy().tolist() == [
        ["s1_a", "s1", "a", "s1_a.png"],
        ["s1_b", "s1", "b", "s1_b.png"],
    ]
    assert table.label[0] == 30 and np.isnan(table.label[1])
    model = ServedModel.load(folder)
    said = model.predict(model.preparation.of(served_sample.scan(tmp_path / "s1_a.png")), {})
    assert table.prediction[0] == said.prediction and list(said.features) == ["seed-0", "seed-1"]
    for run_name, features in said.features.items():
        np.testing.assert_array_equal(table[f"features_{run_name.replace('-', '_')}"][0], features)
    kind = pq.read_schema("e.parquet").field("features_seed_0").type
    assert str(kind.value_type) == "float" and kind.list_size == len(said.features["seed-0"])


def test_what_cannot_be_used_is_named_and_the_rest_is_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = served_sample.picture(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    status, _, err = run(capsys, monkeypatch, "embed", folder, good, bad, "--out", "e.parquet")
    assert status == SOME_REJECTED and err.startswith("rejected  bad: ") and len(err.splitlines()) == 1
    assert pd.read_parquet("e.parquet").scan.tolist() == ["good"]
    status, out, _ = run(capsys, monkeypatch, "embed", folder, bad, "--out", "none.parquet")
    assert status == SOME_REJECTED and out.startswith("0 scans") and pd.read_parquet("none.parquet").empty


def test_another_ending_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = run(capsys, monkeypatch, "embed", folder, "a.png", "--out", "e.csv")
    assert (status, err) == (2, "error: --out: 'e.csv' is not allowed: must end in .parquet\n")
