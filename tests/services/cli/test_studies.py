"""The commands of studies."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contrasweep.services import cli
from contrasweep.services.studies import study as files
from tests.services.studies.left import finished, study_in

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def contrasweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line in this process, in a home of its own; status, and what went to either stream."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["contrasweep", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a study's finished sweep."""
    monkeypatch.setattr(files, "FOLDER", tmp_path / "studies")
    return finished(tmp_path / "home", study_in(tmp_path / "studies"))[1].sweep_id


def test_all_studies_are_listed(contrasweep: Call) -> None:
    code, out, _ = contrasweep("study", "list")
    assert code == 0 and "Distances that choose the neighbours" in out and len(out.splitlines()) > 27
    assert {one["name"] for one in json.loads(contrasweep("study", "list", "--json")[1])} >= {
        "dlr-table3",
        "srm-table2",
    }


def test_a_study_is_shown(contrasweep: Call) -> None:
    code, out, _ = contrasweep("study", "show", "dlr-fig4d")
    assert code == 0
    for words in (
        "trains 1 row with 5 seeds, preset dynlocrep; 1 more row is read of these",
        "After projection, read: encoder",
        "4.323",
    ):
        assert words in out, words
    out = contrasweep("study", "show", "dlr-transfer")[1]
    assert "of test scans with {study: {values: [study-2, study-3, study-5]}}" in out
    assert "exponential, data={train: {where: {study: [study-1, study-4]}}}" in out
    assert json.loads(contrasweep("study", "show", "dlr-fig4d", "--json")[1])["table"] == "fig4d"


def test_an_unknown_study_is_one_line(contrasweep: Call) -> None:
    for command in ("show", "run", "report"):
        code, _, err = contrasweep("study", command, "dlr-tabel3")
        assert code == 2 and "did you mean 'dlr-table3'" in err and err.count("\n") == 1


def test_a_report_is_printed_and_exported(contrasweep: Call, has_run: str, tmp_path: Path) -> None:
    code, out, _ = contrasweep("study", "report", "three", "--export", str(tmp_path / "out"))
    assert code == 0 and "Our order agrees with the published one" in out and "[1] One | note." in out
    assert (tmp_path / f"home/reports/{has_run}-study.html").exists()
    assert (tmp_path / f"home/sweeps/{has_run}/outcome.json").exists()
    assert (tmp_path / "out/three-people.tex").exists()
    told = json.loads(contrasweep("study", "report", has_run, "--json")[1])
    assert told[0]["order"]["verdict"] == "agrees"


def test_a_document_is_made_of_outcomes(contrasweep: Call, has_run: str, tmp_path: Path) -> None:
    contrasweep("study", "report", "three", "--export", str(tmp_path / "results"))
    code, out, _ = contrasweep(
        "study", "report", "--from", str(tmp_path / "results"), "--export", str(tmp_path / "docs")
    )
    assert code == 0 and "reproduction.md" in out
    assert "## three-people" in (tmp_path / "docs/reproduction.md").read_text()


def test_a_report_needs_a_name(contrasweep: Call) -> None:
    assert contrasweep("study", "report") == (2, "", "error: study report: NAME is missing, or --from FOLDER\n")


def test_any_sweep_is_analysed(contrasweep: Call, has_run: str, tmp_path: Path) -> None:
    code, out, _ = contrasweep(
        "analyse", "three", "paired", "--set", "reference=SimCLR", "--out", str(tmp_path / "out")
    )
    assert code == 0 and "SupReMix" in out and "smaller" in out
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".svg", ".pdf"}
    told = json.loads(contrasweep("analyse", "three", "paired", "--json")[1])
    assert len(told["tables"]["Differences in MAE"]["rows"]) == 6, "all pairs of a study's rows, readings among them"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pared",), "unknown analysis 'pared'; did you mean 'paired'"),
        (("paired", "--set", "ref=SimCLR"), "has no parameter 'ref'"),
        (("paired", "--set", "reference"), "--set: 'reference' is not allowed: such as reference=NAME"),
        (("umap",), "its features of the test split were not kept"),
    ],
)
def test_what_cannot_be_analysed_is_one_line(
    arguments: tuple[str, ...], says: str, contrasweep: Call, has_run: str
) -> None:
    code, _, err = contrasweep("analyse", "three", *arguments)
    assert code == 2 and says in err and err.count("\n") == 1


def test_a_study_may_run_elsewhere(contrasweep: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is submitted as any sweep: here nobody answers."""
    monkeypatch.setattr("contrasweep.services.studies.data.SUBJECTS", 20)
    monkeypatch.setenv("CONTRASWEEP_TOKEN", "ada")
    code, _, err = contrasweep("study", "run", "dlr-fig4d", "--server", "http://127.0.0.1:9")
    assert code == 2 and "127.0.0.1:9" in err and err.strip().count("\n") == 0
    assert not (tmp_path / "home/sweeps").exists()
