"""The answers of a cluster's actors are those of this machine."""

from pathlib import Path

import pandas as pd
import pytest

from contrasweep.services.cli.model import SOME_REJECTED
from contrasweep.services.predicting.on_cluster import predict_there
from tests.services.predicting.asked import run
from tests.trainers.served import served_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_says_what_this_machine_says_to_the_last_bit_in_the_same_order(
    folder: Path,
    tmp_path: Path,
    ray_local: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ages = (30, 60, 20, 50)
    for age in ages:
        served_sample.picture(Path(f"s{age}.png"), age)
    lines = ["participant_id\tage", *(f"s{age}\t{age}" for age in ages)]
    Path("s99.png").write_bytes(b"no picture")
    Path("t.tsv").write_text("\n".join([*lines, "s99\t99", "s98\t98"]) + "\n")
    scans = ("--participants", "t.tsv")
    here = run(capsys, monkeypatch, "predict", folder, *scans, "--json")
    there = run(capsys, monkeypatch, "predict", folder, *scans, "--json", "--address", "auto")
    assert here == there and here[0] == SOME_REJECTED
    assert here[2].count("rejected") == 2 and '"scan":"s20"' in here[1]

    for name, where in (("here", ()), ("there", ("--address", "auto"))):
        run(capsys, monkeypatch, "embed", folder, *scans, "--out", f"{name}.parquet", *where)
        run(capsys, monkeypatch, "evaluate", folder, *scans, "--name", name, "--out", ".", *where)
    pd.testing.assert_frame_equal(pd.read_parquet("here.parquet"), pd.read_parquet("there.parquet"), check_exact=True)
    assert Path("here.tsv").read_bytes() == Path("there.tsv").read_bytes()


@pytest.mark.ray
def test_what_a_node_does_not_see_is_rejected_by_it(folder: Path, tmp_path: Path, ray_local: None) -> None:
    (reason,) = predict_there(folder, [served_sample.scan(tmp_path / "gone.png")])
    assert isinstance(reason, str) and reason.startswith("no such image on the cluster's node ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--address", "http://head:8265"), "--address: 'http://head:8265' is not allowed: must be auto, HOST:6379"),
        (("--address", "auto", "--saliency", "gradient"), "--saliency is not allowed with --address"),
    ],
)
def test_what_is_no_address_and_what_goes_not_with_one_is_one_line(
    options: tuple[str, ...],
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, _, err = run(capsys, monkeypatch, "predict", folder, "a.png", *options)
    assert status == 2 and err.startswith(f"error: {said}") and len(err.splitlines()) == 1
