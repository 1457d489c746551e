import json
import math
from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.records.answers import Against, BaselineFigures, Ensembled, Final, fields_of
from contrasweep.services.records.final_report import (
    BaselineSaid,
    Evaluation,
    FinalReport,
    beside,
    pooled_baselines,
    read_report,
)
from contrasweep.services.spec.replicate import Replicate
from contrasweep.trainers.interval import Interval


def report(*scans: tuple[str, str]) -> FinalReport:
    return FinalReport(
        trial=0,
        method="vanilla",
        params={"lam": math.inf},
        training={},
        metrics={"mae": Interval(1.0, 0.5, 1.5), "r2": Interval(float("nan"), float("nan"), float("nan"))},
        seed_mae={0: 1.0},
        mean=1.0,
        baselines={"predict_mean": BaselineFigures(title="predict-the-mean", mae=Interval(2.0, 1.5, 2.5))},
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
    assert (told.trial, told.method, told.sample, told.sd) == (0, "vanilla", "2 subjects", None)
    assert document["baselines"]["predict_mean"]["mae"]["value"] == 2.0
    assert document["sd"] is None


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


LABELS = (20.0, 40.0, 60.0)
SAID = {Replicate(0): (22.0, 40.0, 60.0), Replicate(1): (18.0, 44.0, 63.0)}


def simple(mae: float | None, *predictions: float) -> BaselineSaid:
    return BaselineSaid("a model", mae, "", predictions)


def test_figures_are_those_of_the_mean_prediction_with_the_single_runs_beside_it() -> None:
    told = Evaluation.of("abc", "abc", LABELS, SAID, {}, {})
    assert told.metrics["mae"].value == pytest.approx((0 + 2 + 1.5) / 3)
    assert told.seed_mae == {Replicate(0): pytest.approx(2 / 3), Replicate(1): pytest.approx(3.0)}
    assert told.mean == pytest.approx((2 / 3 + 3) / 2)
    assert told.sd == pytest.approx((3 - 2 / 3) / 2**0.5)
    assert told.against is None
    assert Evaluation.of("abc", "abc", LABELS, {Replicate(0): SAID[Replicate(0)]}, {}, {}).sd is None


def test_runs_of_an_ensemble_count_by_their_weights(tmp_path: Path) -> None:
    runs = (Replicate(0, trial=3), Replicate(0, trial=8))
    said, weights = dict(zip(runs, SAID.values(), strict=True)), dict(zip(runs, (0.75, 0.25), strict=True))
    told = Evaluation.of("abc", "abc", LABELS, said, {"solid": simple(5.0, 23.0, 43.0, 63.0)}, {}, weights)
    assert told.mean_prediction.tolist() == [21.0, 41.0, 60.75]
    assert told.metrics["mae"].value == pytest.approx(2.75 / 3)
    assert told.seed_mae == {runs[0]: pytest.approx(2 / 3), runs[1]: pytest.approx(3.0)}
    assert told.against and told.against.difference.value == pytest.approx(2.75 / 3 - 3)
    both = beside(LABELS, told.mean_prediction, np.array([24.0, 44.0, 64.0]), "abc")
    assert (both.ensemble, both.alone.value) == (told.metrics["mae"], 4.0)
    assert both.difference.value == pytest.approx(2.75 / 3 - 4) and both.difference.high < 0
    known = Ensembled(weights=weights, methods={3: "a", 8: "b"}, candidates=9, by="mae", validation=both, test=both)
    kept = report(("a", "a")).model_copy(update={**fields_of(Evaluation, told), "ensemble": known})
    kept.write(tmp_path / "final.json")
    read = FinalReport.read(tmp_path / "final.json")
    assert read == kept and read.trials == (3, 8)
    assert [read.trial_of(run) for run in (*runs, Replicate(0))] == [3, 8, read.trial]
    assert Final.model_validate_json(read.told().model_dump_json()) == read.told()


def test_the_model_is_compared_with_the_baseline_that_is_best_in_training() -> None:
    """And not with the one that is best on these scans."""
    baselines = {
        "lucky": simple(9.0, *LABELS),
        "solid": simple(5.0, 23.0, 43.0, 63.0),
        "unknown": simple(None, 0, 0, 0),
    }
    told = Evaluation.of("abc", "abc", LABELS, SAID, baselines, {})
    assert told.against
    assert (told.against.baseline, told.against.title) == ("solid", "a model")
    assert told.against.difference.value == pytest.approx((0 + 2 + 1.5) / 3 - 3)
    assert told.baselines["lucky"].mae.value == 0
    assert told.baselines_said() == baselines
    assert Against.model_validate_json(told.against.model_dump_json()) == told.against


def test_baselines_of_several_parts_are_those_that_all_have() -> None:
    parts = [{"a": simple(1.0, 5.0), "b": simple(None, 1.0)}, {"a": simple(4.0, 6.0, 7.0), "b": simple(2.0, 1.0, 1.0)}]
    found = pooled_baselines([parts[0], parts[1] | {"c": simple(1.0, 1.0, 2.0)}])
    assert found == {"a": simple(3.0, 5.0, 6.0, 7.0)._replace(predictions=[5.0, 6.0, 7.0]), "b": found["b"]}
    assert found["b"].cross_validated_mae is None


def test_a_report_of_means_over_runs_tells_the_figures_of_the_mean_prediction(tmp_path: Path) -> None:
    now = report(("a", "a"), ("b", "b"), ("c", "c")).model_copy(update={"labels": LABELS, "predictions": SAID})
    old = json.loads(now.model_dump_json(exclude={"mean", "baselines", "against", "baseline_predictions"}))
    (tmp_path / "final.json").write_text(json.dumps(old | {"ensemble_mae": 1.0, "baseline_mae": 2.0, "sd": 0.0}))
    read = read_report(tmp_path / "final.json")
    fresh = Evaluation.of("abc", "abc", LABELS, SAID, {}, {})
    assert (read.metrics, read.seed_mae, read.mean, read.sd) == (fresh.metrics, fresh.seed_mae, fresh.mean, fresh.sd)
    assert (read.baselines["predict_mean"].mae.value, read.against, read.baselines_said()) == (2.0, None, {})
    read.write(tmp_path / "again.json")
    assert repr(read_report(tmp_path / "again.json")) == repr(read)
