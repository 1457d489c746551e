import json
import math
from pathlib import Path

import pytest

from services.records.answers import Final, fields_of
from services.records.final_report import Evaluation, FinalReport
from trainers.interval import Interval


def report(*scans: tuple[str, str]) -> FinalReport:
    return FinalReport(
        trial=0,
        method="vanilla",
        params={"lam": math.inf},
        training={},
        metrics={"mae": Interval(1.0, 0.5, 1.5), "r2": Interval(float("nan"), float("nan"), float("nan"))},
        seed_mae={0: 1.0},
        sd=0.0,
        ensemble_mae=1.0,
        baseline_mae=2.0,
        shot_mae={"few": 2.0},
        scans=tuple(scan for scan, _ in scans),
        subjects=tuple(subject for _, subject in scans),
        labels=(20.0,) * len(scans),
        predictions={0: (21.0,) * len(scans)},
    )


@pytest.mark.parametrize(
    ("scans", "sample"),
    [
        ([("a", "a"), ("b", "b")], "2 subjects"),
        ([("a_1", "a"), ("a_2", "a"), ("b_1", "b")], "2 subjects (3 scans)"),
    ],
)
def test_a_subject_with_several_scans_is_one_subject(scans: list[tuple[str, str]], sample: str) -> None:
    assert report(*scans).n_subjects == 2
    assert report(*scans).sample == sample


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    written = report(("a_1", "a"), ("b_1", "b"))
    written.write(tmp_path / "final.json")
    assert repr(FinalReport.read(tmp_path / "final.json")) == repr(written)  # nan is not equal to itself
    json.loads((tmp_path / "final.json").read_text(), parse_constant=pytest.fail)


def test_what_is_told_of_it() -> None:
    told = report(("a_1", "a"), ("b_1", "b")).told()
    assert told.metrics["mae"] == Interval(1.0, 0.5, 1.5)
    document = json.loads(told.model_dump_json(), parse_constant=pytest.fail)
    assert document["metrics"]["mae"] == {"value": 1.0, "low": 0.5, "high": 1.5}
    assert document["metrics"]["r2"] == {"value": None, "low": None, "high": None}
    assert document["shot_mae"] == {"few": 2.0}
    assert repr(Final.model_validate_json(told.model_dump_json())) == repr(told)
    assert (told.trial, told.method, told.sample, told.baseline_mae) == (0, "vanilla", "2 subjects", 2.0)


def with_cohort() -> FinalReport:
    cohort = Evaluation(**fields_of(Evaluation, report(("c_1", "c"), ("c_2", "c"))))
    return report(("a_1", "a")).model_copy(update={"external": {"adni": cohort}})


def test_cohorts_are_written_and_told_beside_the_test_split(tmp_path: Path) -> None:
    written = with_cohort()
    written.write(tmp_path / "final.json")
    document = json.loads((tmp_path / "final.json").read_text(), parse_constant=pytest.fail)
    assert document["external"]["adni"]["scans"] == ["c_1", "c_2"]
    assert document["external"]["adni"]["metrics"]["r2"] == {"value": None, "low": None, "high": None}
    assert repr(FinalReport.read(tmp_path / "final.json")) == repr(written)
    told = written.told()
    assert (told.sample, told.external["adni"].sample) == ("1 subjects", "1 subjects (2 scans)")
    assert repr(Final.model_validate_json(told.model_dump_json())) == repr(told)


def test_a_report_of_before_there_were_cohorts_is_read(tmp_path: Path) -> None:
    document = report(("a_1", "a")).model_dump_json(exclude={"external"})
    (tmp_path / "final.json").write_text(document)
    assert FinalReport.read(tmp_path / "final.json").external == {}
