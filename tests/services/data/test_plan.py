"""What `plan` prints, and what it refuses."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from contrasweep.services.cluster.places import Allotment, Node, local_node
from contrasweep.services.data import plan
from contrasweep.services.data.plan import estimate, make_plan
from contrasweep.services.screen.tables import print_plan
from contrasweep.services.settings import Settings
from contrasweep.services.spec.read import ReadConfig
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.config import ModelConfig, TrainingConfig
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.rehearsal import Rehearsal
from tests.services.data.forty_scans import of, scans
from tests.services.past import spec

__all__ = ["scans"]


def printed(loaded: LoadedSpec, home: Path, *nodes: Node) -> str:
    file, planned = io.StringIO(), make_plan(loaded, Settings(home=home), nodes or [local_node()])
    print_plan(Console(file=file, width=60, highlight=False), planned)
    return file.getvalue()


def test_the_plan(scans: Path) -> None:
    text = printed(of(scans, budget={"hours": 1e-9}, search={"trials": 5, "seeds": [0, 1]}), scans / "home")
    assert "40 volumes [1, 8, 9, 10]" in text
    assert "24 to train on" in text
    assert "5 configurations x 2 seeds = 10 runs of 2 epochs" in text
    assert text.endswith("the budget of 1e-09 h ends it before that\n")
    assert not (scans / "home").exists(), "planning leaves nothing behind"


def test_a_search_in_each_outer_fold_is_planned(scans: Path) -> None:
    split = {"outer": 4, "folds": 3}
    loaded = of(scans, data={"split": split, "train": {"size": 0.5}}, search={"trials": 5, "seeds": [0, 1]})
    planned = make_plan(loaded, Settings(home=scans / "home"), [local_node()])
    assert (planned.outer, planned.folds, planned.train) == (4, 3, 10), "of 40 are 10 tested, 10 validated on"
    assert "5 configurations x 2 seeds x 3 folds x 4 outer folds = 120 runs of 2 epochs" in printed(
        loaded, scans / "home"
    )
    alone = make_plan(
        of(scans, data={"split": {"folds": 3, "test": 0.25}}, search={"trials": 5, "seeds": [0, 1]}),
        Settings(home=scans / "home"),
        [local_node()],
    )
    assert planned.disk_gb / alone.disk_gb == pytest.approx(4, rel=0.1)


def test_volumes_of_cohorts_are_counted(scans: Path) -> None:
    cohort = {"name": "young", "participants": "participants.tsv", "image": "{participant_id}.nii.gz"}
    loaded = of(scans, data={"external": [{**cohort, "where": {"age": {"max": 29}}}]})
    planned = make_plan(loaded, Settings(home=scans / "home"), [local_node()])
    assert (planned.subjects, planned.external) == (40, 10)
    assert "10 volumes, for the end alone" in printed(loaded, scans / "home")
    alone = make_plan(of(scans), Settings(home=scans / "home"), [local_node()])
    volumes_gb = 10 * 8 * 9 * 10 * 4 / 1e9
    assert planned.disk_gb - alone.disk_gb == pytest.approx(volumes_gb, rel=0.1), "checkpoints differ by a few bytes"


def test_scans_without_a_label_count_for_methods_that_need_none(scans: Path) -> None:
    rows = [f"s{number:02d}\t{20 + number if number < 24 else 'n/a'}" for number in range(40)]
    (scans / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]))
    loaded = of(scans, data={"unlabelled": "train"}, search={"spaces": ["simclr"], "racing": None})
    planned = make_plan(loaded, Settings(home=scans / "home"), [local_node()])
    assert (planned.train, planned.unlabelled) == (14, 16)
    assert "14 to train on, and 16 without a label" in printed(loaded, scans / "home")


def test_the_largest_batch_is_planned_for(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    override = {"training.batch_size": {"choices": [4, 8]}}
    point = {"name": "larger", "method": "dynlocrep", "training": {"batch_size": 12}}
    choices = {"batch": {"a": {}, "b": {"training": {"batch_size": 16}}}}
    assert of(scans, search={"override": override}).spec.largest_batch == 8
    assert of(scans, search={"override": override, "points": [point]}).spec.largest_batch == 12
    assert of(scans, search={"choices": choices, "points": [point]}).spec.largest_batch == 16
    seen: list[int] = []

    def rehearse(model: ModelConfig, training: TrainingConfig, shape: tuple[int, ...]) -> Rehearsal:
        seen.append(training.batch_size)
        return Rehearsal(1.0, 1, 0.0)

    monkeypatch.setattr(plan, "rehearse", rehearse)
    make_plan(of(scans, search={"override": override}), Settings(home=scans / "home"), [local_node()])
    assert seen == [8]


def test_epochs_that_are_searched_take_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "rehearse", lambda model, training, shape: Rehearsal(1.0, 1, 0.0))
    override = {"training.epochs": {"low": 10, "high": 20}}
    hours = {
        name: estimate(study, study.plan, Allotment(2, {}), (1, 32), [100]).hours
        for name, study in (("searched", spec(override=override)), ("fixed", spec(training={"epochs": 15})))
    }
    assert hours["searched"] == pytest.approx(hours["fixed"])


def test_a_grid_says_how_much_of_each_method_it_has(scans: Path) -> None:
    override = {"exponential.kernel": {"choices": ["rbf", "cauchy"]}}
    search = {
        "spaces": ["exponential", "vanilla"],
        "sampler": "grid",
        "override": override,
        "trials": 3,
        "racing": None,
    }
    search["fix"] = {"exponential.temperature": 0.1, "exponential.sigma": 2.0}
    assert "methods  exponential 2, vanilla 1" in printed(of(scans, search=search), scans / "home")


def test_racing_that_can_stop_nothing_is_said(scans: Path) -> None:
    search = {"trials": 4, "parallel": 4, "racing": {"rungs": [1]}}
    said = "racing   stops nothing: search.parallel 4 lets all 4 begin before one has ended"
    assert said in printed(of(scans, search=search), scans / "home")
    assert "begin before" not in printed(of(scans, search={**search, "trials": 5}), scans / "home")
    assert "begin before" not in printed(of(scans, search={**search, "racing": None}), scans / "home")


@pytest.mark.parametrize(("scan_s", "told"), [(0.0, False), (100.0, True)])
def test_predictions_at_the_end_are_told_where_they_take_long(
    scan_s: float, told: bool, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "rehearse", lambda model, training, shape: Rehearsal(1.0, 1, scan_s))
    assert ("more, as every run predicts the test split" in printed(of(scans), scans / "home")) == told


def test_hours_of_a_gpu_that_this_machine_has_not_are_reckoned(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded, node = of(scans, training={"gpus_per_worker": 1}), Node(cpus=4, gpus=2)
    planned = make_plan(loaded, Settings(home=scans / "home"), [node])
    assert planned.gpu_hours == pytest.approx(planned.hours * min(2, planned.concurrent))
    assert planned.hours < make_plan(of(scans), Settings(home=scans / "home"), [node]).hours
    text = printed(loaded, scans / "home", node)
    assert "with one worker, reckoned for a GPU that does 20 TFLOPS, as this machine has none" in text
    assert "GPU-hours, if racing stops nothing" in text


def test_what_is_left_to_train_on_is_told(scans: Path) -> None:
    loaded = of(scans, data={"train": {"size": 10}})
    planned = make_plan(loaded, Settings(home=scans / "home"), [local_node()])
    assert (planned.subjects, planned.train, planned.untrained) == (40, 10, 14)
    assert "10 to train on; data.train leaves out 14" in printed(loaded, scans / "home")


def test_images_of_other_dimensions_than_the_model(scans: Path) -> None:
    with pytest.raises(UserError, match=r"study.yaml: model.spatial_dims: 2 is not allowed: prepared images \[1"):
        printed(of(scans, model={"spatial_dims": 2}), scans / "home")


def test_transforms_that_fail_on_these_images(scans: Path) -> None:
    transforms = [{"Resize": {"spatial_size": [4, 4]}}]
    with pytest.raises(UserError, match=r"none of the 40 images can be used; first: .*Resize fails on shape"):
        printed(of(scans, data={"transforms": transforms}), scans / "home")


def test_what_is_read_of_each_training_is_embedded_and_kept(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 trials of 3 seeds: each predicts 8 of the 40 scans, and its three weights embed all of them."""
    monkeypatch.setattr(plan, "rehearse", lambda model, training, shape: Rehearsal(1.0, 0, 3600.0, 10**9))
    planned = make_plan(of(scans, read={"epochs": [1, 2]}), Settings(home=scans / "home"), [local_node()])
    assert planned.test_hours == pytest.approx(90 * (8 + 3 * 40)) and planned.disk_gb >= 90 * 2


def test_the_estimate_multiplies_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 0.5 s: 100 of train in 6 batches of 16 are 3 s an epoch; 10 runs of 4 epochs, 4 workers at work."""
    monkeypatch.setattr(plan, "rehearse", lambda model, training, shape: Rehearsal(0.5, 2_000_000, 0.1, 500_000))
    study = spec(training={"workers": 2}, trials=5, seeds=[0, 1], parallel=2)
    cost = estimate(study, study.plan, Allotment(2, {}), (1, 32), [100])
    assert estimate(study, study.plan, Allotment(2, {}), (1, 32), [100, 200]).epoch_s == 4.5, (
        "the mean of 6 and 12 batches"
    )
    assert cost.epoch_s == 3.0
    assert cost.hours == pytest.approx(3 * 4 * 10 / 4 / 3600)
    assert cost.disk_gb == pytest.approx(0.02)
    tested = estimate(study, study.plan, Allotment(2, {}), (1, 32), [100], tested=60)
    assert tested.hours == cost.hours and tested.test_hours == pytest.approx(0.1 * 60 * 10 / 3600)
    read = study.model_copy(update={"read": ReadConfig(epochs=(1, 3))})
    assert estimate(read, study.plan, Allotment(2, {}), (1, 32), [100]).disk_gb == pytest.approx(
        10 * (0.002 + 2 * 0.0005)
    )
    fresh = spec(training={"workers": 2}, trials=5, seeds=[0, 1], parallel=2, racing={"judged_on": "fresh"})
    with_finals = estimate(fresh, fresh.plan, Allotment(2, {}), (1, 32), [100])
    assert with_finals.hours == pytest.approx(3 * 4 * (10 + 3 * 2 + 2) / 4 / 3600), (
        "three finalists and then the winner, two seeds each"
    )
