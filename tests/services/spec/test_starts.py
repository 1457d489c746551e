"""Points that start from others, and what is not trained at all."""

from typing import Any

import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.spec import methods
from contrasweep.services.spec.checks import check_image_shapes, check_spec
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_choices import choosing, drawn, loaded
from tests.services.spec.test_ids import spec

FIRST: dict[str, Any] = {"name": "first", "method": "vanilla"}
SECOND: dict[str, Any] = {"name": "second", "method": "dynlocrep", "start": "first"}
THIRD: dict[str, Any] = {"name": "third", "method": "dynlocrep", "training": {"lr": 0.5}, "start": "second"}
READ_ALONE: dict[str, Any] = {**SECOND, "training": {"epochs": 0}}


def starting(*points: dict[str, Any], choices: dict[str, Any] | None = None, **search: Any) -> SweepSpec:
    return choosing(choices or {}, points=list(points), **search)


def test_a_configuration_that_starts_from_another_is_another_one() -> None:
    alone, started = drawn(starting(FIRST, SECOND | {"start": None}), 2)[1], drawn(starting(FIRST, SECOND), 2)[1]
    assert started != alone and started.start == "first"
    assert {**alone.values, "start": "first"} == started.values


def test_a_run_is_told_what_it_starts_from_and_what_that_one_does() -> None:
    encoders = {"narrow": {}, "wide": {"model": {"width": 2.0}}}
    points = [FIRST | {"choices": {"net": "wide"}}, SECOND | {"choices": {"net": "wide"}}, THIRD]
    study = starting(*points, choices={"net": encoders})
    first, second, third = drawn(study, 3)
    assert methods.lineage(third, study) == [third, second, first]
    run = run_config(study, third, 4)
    assert run.start == run_config(study, second, 4)
    assert run.start and run.start.start == run_config(study, first, 4)
    assert (run.model.width, run.start.model.width, run.start.start.model.width) == (1.0, 2.0, 2.0)
    assert run_config(study, Configuration("vanilla", {}), 4).start is None


def test_where_points_start_makes_another_sweep() -> None:
    ids = {starting(FIRST, SECOND | {"start": start}).sweep_id for start in ("first", None)}
    assert len(ids) == 2
    assert (
        starting(FIRST, SECOND | {"start": None}).sweep_id
        == starting(FIRST, {key: value for key, value in SECOND.items() if key != "start"}).sweep_id
    )


@pytest.mark.parametrize(
    ("points", "search", "said"),
    [
        ([FIRST, SECOND | {"start": "frist"}], {}, "second: start: no earlier point is 'frist'; did you mean 'first'"),
        ([SECOND, FIRST], {}, "points: second: start: no earlier point is 'first'; allowed: none"),
        ([FIRST, SECOND | {"start": "second"}], {}, "no earlier point is 'second'; allowed: first"),
        ([FIRST, SECOND], {"refit": True}, "points: second: start is not allowed with refit"),
        (
            [FIRST, READ_ALONE | {"start": None}],
            {},
            r"search.points.second.training.epochs: 0 is not allowed without weights to read: start or model.init_from",
        ),
    ],
)
def test_what_cannot_start_there(points: list[dict[str, Any]], search: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        starting(*points, **search)


def test_an_encoder_of_which_nothing_fits_is_refused_before_anything_is_trained() -> None:
    widths = {"narrow": {}, "wide": {"model": {"width": 2.0}}}
    study = starting(FIRST, SECOND | {"choices": {"net": "wide"}}, choices={"net": widths})
    with pytest.raises(UserError, match=r"study.yaml: search.points.second.start: no tensor of the encoder of 'first'"):
        check_image_shapes(loaded(study), {(): (1, 16, 16, 16)})
    check_image_shapes(loaded(starting(FIRST, SECOND)), {(): (1, 16, 16, 16)})


LENGTHS: dict[str, Any] = {"usual": {}, "none": {"training": {"epochs": 0, "warmup_epochs": 3}}}


def test_what_is_not_trained_counts_as_one_epoch() -> None:
    study = starting(FIRST, READ_ALONE, trials=2, racing={"rungs": [5]}, seeds=[0, 1])
    check_spec(loaded(study))
    plan = study.plan_of(drawn(study, 2)[1], 0)
    assert (plan.judged_epochs, plan.epochs) == (1, 2)
    tuned = spec(
        {"probe": {"finetune": {"epochs": 4}}, "search": study.model_dump(mode="json")["search"] | {"racing": None}}
    )
    assert (tuned.plan_of(drawn(tuned, 2)[1], 0).earlier_epochs, tuned.plan.judged_epochs) == (1, 4)


def test_an_option_of_no_epochs_is_for_points_that_start_from_others() -> None:
    points = [FIRST, SECOND | {"choices": {"length": "none"}}]
    check_spec(loaded(starting(*points, choices={"length": LENGTHS}, trials=2)))
    for search in ({"trials": 3}, {"trials": 2, "racing": {"reinvest": True}}):
        with pytest.raises(UserError, match=r"search.choices.length.none.training.epochs: 0 is not allowed without"):
            starting(*points, choices={"length": LENGTHS}, **search)


def test_no_epochs_from_weights_of_elsewhere() -> None:
    given = {"model": {"init_from": "w.pt"}, "training": {"epochs": 0}, "search": {"spaces": ["dynlocrep"]}}
    check_spec(loaded(spec(given)))
    with pytest.raises(UserError, match=r"training.epochs: 0 is not allowed without weights to read: model.init_from"):
        spec({**given, "model": {}})
    with pytest.raises(UserError, match=r"training.epochs: 0 is not allowed with vanilla, whose own head predicts"):
        check_spec(loaded(spec({**given, "search": {"spaces": ["vanilla"]}})))
    with pytest.raises(UserError, match=r"override: training.epochs: 0 is not allowed: must be a whole number from 1"):
        choosing({}, override={"training.epochs": {"low": 0, "high": 5}})
    with pytest.raises(UserError, match=r"search.points.second: training.epochs: 0 is not allowed with vanilla"):
        check_spec(loaded(starting(FIRST, READ_ALONE | {"method": "vanilla"})))
    branch = READ_ALONE | {"method": "adacon", "params": {"regression": 1.0}}
    with pytest.raises(UserError, match=r"search.points.second: training.epochs: 0 is not allowed with adacon"):
        check_spec(loaded(starting(FIRST, branch, spaces=["vanilla", "adacon"])))
