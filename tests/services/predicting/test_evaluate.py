import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from contrasweep.services.cli.model import SOME_REJECTED
from contrasweep.services.predicting.evaluate import CohortReport, doubts
from contrasweep.services.predicting.model import sweep_of
from contrasweep.services.predicting.overlap import OwnScans, own_scans
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.text import interval
from contrasweep.trainers.data.splits import store_splits
from contrasweep.trainers.data.store import Volume, file_digest
from tests.services.past import spec
from tests.services.predicting.asked import run
from tests.services.predicting.elsewhere import IMAGES, PEOPLE, model, write_cohort
from tests.services.sweep_page.parsed import Page
from tests.trainers.data.small_store import write_store
from tests.trainers.served import served_sample

IMAGE = ("--image", IMAGES, "--session", "visit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def test_a_cohort_has_figures_a_page_and_predictions(
    folder: Path, cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = ("--participants", cohort / "people.tsv", *IMAGE, "--by", "dose", "--name", "adni", "--out", "out")
    status, out, err = run(capsys, monkeypatch, "evaluate", folder, *table)
    assert status == SOME_REJECTED
    assert err == f"rejected  gone_a: no such image ({cohort / 'gone_a.png'})\n"
    report = CohortReport.model_validate_json(Path("out/adni.json").read_text())
    figures = report.figures
    assert (figures.scans, figures.subjects, report.unlabelled, len(report.rejected)) == (36, PEOPLE, 1, 1)
    header, *lines = (line.split("\t") for line in Path("out/adni.tsv").read_text().splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    gaps = [float(row["prediction"]) - float(row["label"]) for row in rows]
    assert figures.metrics["mae"].value == pytest.approx(np.abs(gaps).mean())
    inside = [float(row["low"]) <= float(row["label"]) <= float(row["high"]) for row in rows]
    assert figures.coverage and figures.coverage.share.value == pytest.approx(np.mean(inside))
    assert list(figures.groups) == ["sex", "dose", "the label"]  # all have one scanner
    assert {column: (told.groups, told.people) for column, told in figures.told.items()} == {"sex": (2, PEOPLE)}
    assert "Told by the embedding" in out
    assert figures.retest["gap"].subjects == PEOPLE // 2
    assert f"adni: MAE {interval(figures.metrics['mae'])} units of age over" in out and "report    out/adni.html" in out
    page = Page(Path("out/adni.html").read_text())
    assert not page.of("script") and not [one for one in page.references() if not one.startswith(("data:", "#"))]
    assert [text for level, text in page.headings if level == 2][:3] == [
        "What to doubt",
        "Predicted against true",
        "For whom",
    ]
    for line in doubts(report):
        assert f"doubt     {line}" in out and line in page.text


def test_an_evaluation_is_replaced_by_force_alone(
    folder: Path, cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    Path("out/adni.json").write_text("{}")
    asked = ("evaluate", folder, "--participants", cohort / "few.tsv", *IMAGE, "--name", "adni", "--out", "out")
    status, _, err = run(capsys, monkeypatch, *asked)
    assert (status, err) == (2, "error: --name: there is an evaluation 'adni' in out; --force replaces it\n")
    status, out, _ = run(capsys, monkeypatch, *asked, "--force", "--json")
    assert status == 0 and json.loads(out) == json.loads(Path("out/adni.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "a"), "nothing is given; one of --participants and --bids is needed"),
        (("--name", "../a", "--participants", "t.tsv"), "--name: '../a' is not allowed"),
        (("--name", "a", "--participants", "t.tsv"), "--out is missing: the model's sweep, tiny-1c2e, is not in"),
        (("--name", "a", "--participants", "t.tsv", "--out", "o"), "t.tsv: 1 of 2 usable scans with a number in"),
        (("--name", "a", "--participants", "t.tsv", "--out", "o", "--by", "sax"), "--by: t.tsv has no column 'sax'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: tuple[str, ...],
    said: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("s1", "s2"):
        served_sample.picture(tmp_path / f"{name}.png")
    (tmp_path / "t.tsv").write_text("participant_id\tage\tsex\ns1\t40\tF\ns2\tn/a\tM\n")
    status, _, err = run(capsys, monkeypatch, "evaluate", folder, *arguments)
    assert status == 2 and err.startswith(f"error: {said}") and len(err.splitlines()) == 1
    assert not (tmp_path / "o").exists()


class Study(NamedTuple):
    """A sweep whose volume store has pictures of the cohort among its scans."""

    folder: SweepFolder
    settings: Settings


@pytest.fixture
def study(home: Path, cohort: Path) -> Study:
    settings = Settings(home=home)
    sweep = SweepFolder.create(settings, LoadedSpec(spec(), home / "study.yaml", home))
    volumes = [Volume(f"s{row:02d}", 20.0 + row, None, np.full((1, 2, 2), row, np.float32)) for row in range(40)]
    store = write_store(home / "plain", volumes, per_shard=40)
    splits = store_splits(store, sweep.load().spec.data.stratified_split)
    own = {splits.train[0]: "p1_a", splits.validation[0]: "p1_b", splits.test[0]: "p2_a"}
    told = {name: {"digest": file_digest(cohort / f"{scan}.png")} for name, scan in own.items()}
    write_store(settings.volumes / f"study-{'0' * 12}", volumes, per_shard=40, told=told)
    sweep.write_state(SweepState(id=sweep.sweep_id, state="finished", volumes="0" * 64))
    return Study(sweep, settings)


def test_scans_of_the_study_are_told(
    study: Study, folder: Path, cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = study.folder.path / "model"
    model.mkdir()
    for path in folder.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    told = json.loads((model / "served.json").read_text())
    (model / "served.json").write_text(json.dumps({**told, "sweep": study.folder.sweep_id}))
    study.folder.final.write_text("{}")
    table = ("--participants", cohort / "few.tsv", *IMAGE, "--name", "adni")
    _, out, _ = run(capsys, monkeypatch, "evaluate", study.folder.sweep_id, *table)
    kept = study.folder.path / "evaluations/adni.json"
    assert CohortReport.model_validate_json(kept.read_text()).own == OwnScans(trained=2, test=1)
    assert "doubt     2 of 6 scans were trained on, or chosen by: of these this is no evaluation" in out
    assert "doubt     1 of 6 scans are in the test split of the sweep" in out


def test_nothing_is_known_without_the_store_or_the_sweep(study: Study, cohort: Path) -> None:
    scans = [served_sample.scan(cohort / "p1_a.png")]
    assert own_scans(study.folder, study.settings, scans) == OwnScans(trained=1, test=0)
    elsewhere = study.settings.model_copy(update={"volumes": study.settings.home / "elsewhere"})
    assert own_scans(study.folder, elsewhere, scans) is None
    assert sweep_of(served_sample.config(), study.settings) is None
