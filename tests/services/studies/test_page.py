"""A study's page, its exports and the document of several."""

import csv
import io
from dataclasses import astuple
from pathlib import Path

import pytest

from contrasweep.services.studies.examined import examine
from contrasweep.services.studies.export import as_csv, escaped, latex, markdown, write_exports
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.page import Report, render, write
from contrasweep.services.studies.reproduction import read_outcomes, reproduction
from contrasweep.services.studies.tables import footnotes, outcome_table
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.interval import Interval
from tests.services.studies.left import finished, study_in


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A study with an analysis that can be made, and one that cannot."""
    folder = tmp_path_factory.mktemp("study")
    study = study_in(folder, analyses=[{"paired": {"reference": "SimCLR"}}, "order"])
    settings, left = finished(folder / "home", study)
    return Report.of(examine(study, left, settings))


def test_the_page_says_verdict_rows_and_notes(report: Report) -> None:
    text = render([report])
    for words in (
        "Three methods",
        "agrees",
        "DynLocRep",
        "3.724 ± 0.22",
        "One | note.",
        "not made: order: ",
        "--seeds 2",
    ):
        assert words in text, words
    assert "<script" not in text and "http" not in text.replace("http://www.w3.org", "")
    assert text.index("agrees") < text.index("<svg") < text.index("<table")


def test_what_is_written_in_a_study_is_no_markup(report: Report) -> None:
    bad = report.outcome.model_copy(update={"title": "<script>x</script>"})
    assert "<script" not in render([Report(bad, report.findings)])


def test_several_studies_are_one_page(report: Report, tmp_path: Path) -> None:
    other = Report(report.outcome.model_copy(update={"study": "other", "title": "Another"}), {})
    path = write([report, other], tmp_path)
    assert path.name == "studies.html" and path.read_text().count("<h2") == 2
    assert write([report], tmp_path).name == f"{report.outcome.sweep}-study.html"


def test_an_analysis_that_is_made_twice_is_there_twice(tmp_path: Path) -> None:
    twice = [{"paired": {"reference": "SimCLR"}}, {"paired": {"reference": "DynLocRep"}}]
    study = study_in(tmp_path, analyses=twice)
    settings, left = finished(tmp_path / "home", study)
    report = Report.of(examine(study, left, settings))
    assert [*report.findings] == ["paired", "paired(reference=DynLocRep)"]
    assert [*report.tables] == ["Differences in MAE", "Differences in MAE, paired(reference=DynLocRep)"]
    assert len(report.figures) == 3


def test_exports(report: Report, tmp_path: Path) -> None:
    written = write_exports(tmp_path, report.outcome, report.figures)
    assert sorted({path.suffix for path in written}) == [".csv", ".json", ".md", ".pdf", ".svg", ".tex"]
    assert {path.name for path in written} >= {
        "three-people-rows.pdf",
        "three-people-differences-in-mae.svg",
        "three-people.json",
    }
    assert (tmp_path / "three-people-rows.pdf").read_bytes().startswith(b"%PDF")
    assert Outcome.model_validate_json((tmp_path / "three-people.json").read_bytes()) == report.outcome


def test_the_csv_has_all_digits(report: Report) -> None:
    ridge = Interval(5.25, 4.5, 6.0)
    outcome = report.outcome.model_copy(update={"baselines": {"PCA + ridge": ridge}})
    *rows, baseline = csv.DictReader(io.StringIO(as_csv(outcome)))
    assert (baseline["row"], baseline["state"], baseline["metric"]) == ("PCA + ridge", "baseline", "mae")
    assert [float(baseline[key]) for key in ("value", "low", "high")] == [*astuple(ridge)]
    assert len(rows) == len(report.outcome.rows) * 2
    assert float(rows[0]["value"]) == report.outcome.rows[0].ours["mae"].value.value
    assert (rows[0]["published"], rows[0]["published_n"], rows[1]["published"]) == ("3.724", "62", "")


def test_markdown_and_latex_have_a_line_for_each_row(report: Report) -> None:
    table, notes = outcome_table(report.outcome), footnotes(report.outcome)
    text = markdown(table, report.outcome.title, notes)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.lines) and len({line.count("|") for line in lines}) == 1
    tex = latex(table, "A & B", notes, "tab_1")
    assert r"\caption{A \& B}" in tex and r"3.724 $\pm$ 0.22" in tex and r"\toprule" in tex
    assert tex.count(r" \\") == 1 + len(table.lines)


def test_latex_shows_what_is_special() -> None:
    assert escaped("50 % of a_b & c²") == r"50 \% of a\_b \& c$^2$"


def test_the_document_has_each_study(report: Report, tmp_path: Path) -> None:
    for name in ("three", "other"):
        (tmp_path / f"{name}.json").write_text(report.outcome.model_copy(update={"study": name}).to_json())
    text = reproduction(read_outcomes(tmp_path))
    assert "| other-people | dynlocrep table3 | 4 | people | MAE | 1.000 | [" in text
    assert "- 2 agree: other-people, three-people;\n- 0 disagree: none;\n- of 0 it cannot be told" in text
    assert "## three-people" in text and f"`{report.outcome.code}`" in text
    assert "Not run yet: dlr-fig4a, dlr-fig4b" in text


def test_what_ran_in_small_has_a_name_of_its_own(report: Report, tmp_path: Path) -> None:
    small = report.outcome.model_copy(update={"study": "dlr-fig4d", "quick": True})
    (tmp_path / "small.json").write_text(small.to_json())
    text = reproduction(read_outcomes(tmp_path))
    assert "## dlr-fig4d-quick-people" in text and "dlr-fig4d, dlr-fig5" in text, "it counts as not run"
    assert as_csv(small).splitlines()[1].startswith("dlr-fig4d-quick-people,")


def test_a_folder_without_outcomes_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no outcome of a study"):
        read_outcomes(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(UserError, match=r"x\.json: study: is missing"):
        read_outcomes(tmp_path)
