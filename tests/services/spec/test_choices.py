"""Options of the spec that a search chooses from."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.spec import methods
from contrasweep.services.spec.checks import check_against_data, check_image_shape, check_image_shapes, check_spec
from contrasweep.services.spec.spec import LoadedSpec, Options, SweepSpec
from contrasweep.services.stores.optuna import open_study
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_ids import spec

ENCODERS: dict[str, Any] = {"resnet18": {}, "sfcn": {"model": {"encoder": "sfcn"}}}
LARGE: dict[str, Any] = {"small": {"training": {"batch_size": 16}}, "large": {"training": {"batch_size": 64}}}
PROBES: dict[str, Any] = {"ridge": {}, "linear": {"probe": {"linear": {}}}}


def choosing(choices: dict[str, Any], data: dict[str, Any] | None = None, **search: Any) -> SweepSpec:
    return spec({"data": data or {}, "search": {"spaces": ["dynlocrep", "vanilla"], "choices": choices, **search}})


def drawn(study_spec: SweepSpec, number: int = 20) -> list[Configuration]:
    label_ranges = dict.fromkeys(study_spec.readings, 60.0)
    first = methods.starts(study_spec, label_ranges)
    study = open_study("", optuna.storages.InMemoryStorage(), first, study_spec.search.objective)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    return [methods.draw(study.ask(), study_spec, label_ranges) for _ in range(number)]


def test_an_option_is_drawn_of_each_axis_the_first_to_begin_with() -> None:
    found = drawn(choosing({"encoder": ENCODERS, "batch": LARGE, "probe": PROBES}))
    assert [(one.method, one.choices) for one in found[:2]] == [
        ("dynlocrep", {"encoder": "resnet18", "batch": "small", "probe": "ridge"}),
        ("vanilla", {"encoder": "resnet18", "batch": "small", "probe": "ridge"}),
    ]
    assert {one.choices["encoder"] for one in found} == {"resnet18", "sfcn"}
    assert {one.choices["batch"] for one in found} == {"small", "large"}


def test_what_is_drawn_fits_what_was_chosen() -> None:
    """dynlocrep has at most as many neighbours as the batch others."""
    most = {"small": 0, "large": 0}
    for one in drawn(choosing({"batch": LARGE}, spaces=["dynlocrep"]), 60):
        most[one.choices["batch"]] = max(most[one.choices["batch"]], int(one.params["nn_final"] or 0))
    assert most["small"] < 16 <= most["large"] < 64


def test_an_axis_may_be_there_for_some_methods() -> None:
    for one in drawn(choosing({"encoder": ENCODERS}, choices_for={"encoder": ["vanilla"]})):
        assert set(one.choices) == ({"encoder"} if one.method == "vanilla" else set())


def test_a_run_has_what_was_chosen() -> None:
    study = choosing({"encoder": ENCODERS, "batch": LARGE, "probe": PROBES})
    chosen = {"encoder": "sfcn", "batch": "large", "probe": "linear"}
    run = run_config(study, Configuration("vanilla", {}, {"lr": 0.5}, chosen), 3)
    assert (run.model.encoder, run.training.batch_size, run.training.lr, run.seed) == ("sfcn", 64, 0.5, 3)
    assert run.probe == {"linear": {}}
    assert run_config(study, Configuration("vanilla", {}), 3).model.encoder == study.model.encoder


def test_choices_and_their_order_are_part_of_the_id() -> None:
    one = choosing({"encoder": ENCODERS})
    turned = choosing({"encoder": dict(reversed(ENCODERS.items()))})
    ids = {choosing({}).sweep_id, one.sweep_id, turned.sweep_id, choosing({"net": ENCODERS}).sweep_id}
    assert len(ids) == 4
    assert spec({"search": one.model_dump(mode="json")["search"]}).sweep_id == one.sweep_id


@pytest.mark.parametrize(
    ("choices", "search", "said"),
    [
        ({"encoder": {"a": {}}}, {}, "encoder has 1 options; two are needed"),
        ({"encoder": {"a": {}, "b": {"serach": {}}}}, {}, "serach"),
        (
            {"encoder": {"a": {}, "b": {"data": {"split": {"test": 0.1}}}}},
            {},
            r"choices.encoder.b.data: 'split' is not allowed: .*; allowed: transforms, train, normalize, dtype, group",
        ),
        (
            {"encoder": {"a": {}, "b": {"data": {"dtype": "int8"}}}},
            {},
            "search.choices.encoder.b.data.dtype: int8 is not",
        ),
        (
            {"pairs": {"within": {}, "across": {"data": {"group": None}}}},
            {"objective": "worst_group_mae", "data": {"group": "sex"}},
            "worst_group_mae is not allowed: it needs search.choices.pairs.across.data.group, which is not set",
        ),
        ({"encoder": {"a": {}, "b": {"data": {"train": {"size": 0}}}}}, {}, "b.data.train.size: 0 is not allowed"),
        ({"encoder": {"a": {}, "b": {"model": {"encodr": "x"}}}}, {}, "search.choices.encoder.b.model.*encodr"),
        ({"lr": {"a": {}, "b": {}}}, {}, "'lr' is not allowed: it is a field of training"),
        (
            {"b": {"a": {}, "b": {"training": {"workers": 2}}}},
            {},
            "search.choices.b.b: training.workers is not allowed",
        ),
        (
            {"b": {"a": {}, "b": {"training": {"epochs": 5}}}},
            {"racing": {"rungs": [5]}},
            "rungs: 5 is not allowed: must be below search.choices.b.b.training.epochs 5",
        ),
        (
            {"b": {"a": {}, "b": {"probe": {"finetune": {"epochs": 4}}}}},
            {"racing": {"rungs": [5]}},
            "rungs: 5 is not allowed: must be below search.choices.b.b.probe.finetune.epochs 4",
        ),
        (
            {"b": {"a": {}, "b": {"training": {"epochs": 5}}}, "c": {"a": {}, "b": {"training": {"warmup_epochs": 6}}}},
            {},
            "search.choices.b.b with c.b: training.warmup_epochs 6 must be below epochs 5",
        ),
        ({"b": {"a": {}, "b": {"model": {"init_from": "x"}}}}, {}, "b.b: model.init_from is not allowed"),
        (
            {"encoder": ENCODERS},
            {"choices_for": {"encodr": ["vanilla"]}},
            "unknown axis 'encodr'; did you mean 'encoder'",
        ),
        ({"encoder": ENCODERS}, {"choices_for": {"encoder": ["mae"]}}, "encoder: 'mae' is none of spaces"),
    ],
)
def test_what_cannot_be_chosen_from(choices: dict[str, Any], search: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        choosing(choices, **search)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            {"model": {"encoder": "sfnc"}},
            "search.choices.encoder.b: model.encoder: unknown encoder 'sfnc'; did you mean",
        ),
        ({"probe": {"rigde": {}}}, "search.choices.encoder.b: probe: unknown probe 'rigde'"),
        ({"training": {"augmentations": {"cutuot": {}}}}, r"search.choices.encoder.b: .*cutuot"),
    ],
)
def test_an_option_that_cannot_be_built_is_named(option: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_spec(loaded(choosing({"encoder": {"a": {}, "b": option}})))


def test_options_are_checked_against_the_data() -> None:
    with pytest.raises(
        UserError, match=r"search.choices.batch.large: training.batch_size: 64 is not allowed: the training"
    ):
        check_against_data(loaded(choosing({"batch": LARGE})), 40, 0, 60.0)
    flat = {"a": {}, "b": {"model": {"spatial_dims": 2}}}
    with pytest.raises(
        UserError, match=r"search.choices.dims.b: model.spatial_dims: 2 is not allowed: prepared images"
    ):
        check_image_shape(loaded(choosing({"dims": flat})), (1, 16, 16, 16))


def loaded(study: SweepSpec) -> LoadedSpec:
    return LoadedSpec(study, Path("study.yaml"), Path())


POINTS: list[dict[str, Any]] = [
    {"name": "wide", "method": "vanilla", "training": {"lr": 0.01}, "choices": {"encoder": "sfcn"}},
    {"name": "lam-7", "method": "dynlocrep", "params": {"lam": 7.0}},
]


def test_points_are_tried_first_as_they_are() -> None:
    study = choosing({"encoder": ENCODERS}, points=POINTS, fix={"dynlocrep.sigma": 3.0})
    wide, lam, *others = drawn(study, 6)
    assert (wide.method, wide.training, wide.choices) == ("vanilla", {"lr": 0.01}, {"encoder": "sfcn"})
    assert (lam.method, lam.choices) == ("dynlocrep", {"encoder": "resnet18"})
    published = losses.parameters("dynlocrep")
    assert lam.params == {**published, "sigma": 3.0, "lam": 7.0}
    assert [one.method for one in others[:2]] == ["dynlocrep", "vanilla"], "then the published ones"
    assert study.sweep_id != choosing({"encoder": ENCODERS}, fix={"dynlocrep.sigma": 3.0}).sweep_id


def test_points_that_differ_in_nothing_that_is_searched_are_all_tried() -> None:
    points = [{"name": f"lr-{lr}", "method": "vanilla", "training": {"lr": lr}} for lr in (0.1, 0.2, 0.3)]
    study = choosing({}, spaces=["vanilla"], points=points)
    assert [one.training["lr"] for one in drawn(study, 3)] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "mae"}, "points: one: method 'mae' is none of spaces"),
        ({"training": {"lrr": 1}}, "points: one: training: unknown field 'lrr'; did you mean 'lr'"),
        ({"choices": {"encodr": "sfcn"}}, "points: one: choices: vanilla has no axis 'encodr'; did you mean 'encoder'"),
        ({"choices": {"encoder": "sfnc"}}, "points: one: choices: encoder has no 'sfnc'; did you mean 'sfcn'"),
        ({"nme": "two"}, "nme"),
    ],
)
def test_what_is_no_point(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        choosing({"encoder": ENCODERS}, points=[{"name": "one", "method": "vanilla", **changes}])


def test_a_name_is_of_one_point() -> None:
    with pytest.raises(UserError, match="points: one is there 2 times"):
        choosing({}, points=[{"name": "one", "method": "vanilla"}, {"name": "one", "method": "dynlocrep"}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"params": {"lamm": 1.0}},
            r"search.points.one: params: unknown parameter of dynlocrep 'lamm'; did you mean 'lam'",
        ),
        ({"params": {"sigma": -1.0}}, r"search.points.one: .*sigma.* -1"),
        ({"training": {"lr": -1.0}}, r"search.points.one: training.lr: -1.* is not allowed"),
    ],
)
def test_a_point_that_cannot_be_trained_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_spec(loaded(choosing({}, points=[{"name": "one", "method": "dynlocrep", **changes}])))


DATA: dict[str, Any] = {
    "size": {"full": {}, "half": {"data": {"transforms": [{"Resize": {"spatial_size": [8, 8, 8]}}]}}},
    "people": {"all": {}, "some": {"data": {"train": {"size": 20}}, "training": {"batch_size": 16}}},
    "batch": LARGE,
}


def test_what_is_read_is_known_by_the_options_that_change_the_data() -> None:
    study = choosing(DATA, choices_for={"people": ["vanilla"]})
    readings = study.readings
    assert {options: (spec.data.train.size, len(spec.data.transforms)) for options, spec in readings.items()} == {
        (("size", "full"),): (1.0, 0),
        (("size", "half"),): (1.0, 1),
        (("size", "full"), ("people", "all")): (1.0, 0),
        (("size", "full"), ("people", "some")): (20, 0),
        (("size", "half"), ("people", "all")): (1.0, 1),
        (("size", "half"), ("people", "some")): (20, 1),
    }
    for options, reading in readings.items():
        assert reading.search.spaces == (("vanilla",) if len(options) == 2 else ("dynlocrep",))
        assert {*reading.search.choices} == {"batch"}, "the rest is still to be chosen"
    for one in drawn(study):
        assert study.search.reading(one.choices) in readings
        assert study.choosing(one.choices).data == readings[study.search.reading(one.choices)].data


def test_where_no_option_changes_the_data_all_read_the_same() -> None:
    study = choosing({"encoder": ENCODERS})
    assert study.readings == {(): study}
    assert study.search.reading({"encoder": "sfcn"}) == ()


def test_a_configuration_has_a_plan_of_its_own() -> None:
    lengths = {"short": {}, "long": {"training": {"epochs": 70}}}
    probes = {"ridge": {}, "tuned": {"probe": {"finetune": {"epochs": 7}}}}
    study = choosing({"length": lengths, "probe": probes})

    def planned(**choices: str) -> tuple[int, int, int]:
        plan = study.plan_of(Configuration("vanilla", {}, {}, choices), 3)
        return plan.earlier_epochs, plan.judged_epochs, plan.folds

    assert planned(length="short", probe="ridge") == (0, 50, 3)
    assert planned(length="long", probe="tuned") == (70, 7, 3)
    assert sorted(plan.seed_epochs for plan in study.plans) == [50, 57, 70, 77]
    assert choosing({"encoder": ENCODERS}).plans == [study.plan]


def test_every_reading_is_checked() -> None:
    narrow = {"a": {"data": {"transforms": []}}, "b": {"data": {"transforms": [{"Resise": {}}]}}}
    with pytest.raises(UserError, match=r"search.choices.size.b: .*'Resise'; did you mean 'Resize'"):
        check_spec(loaded(choosing({"size": narrow})))
    shapes = {options: (1, 16, 16, 16) for options in choosing(DATA).readings}
    check_image_shapes(loaded(choosing(DATA)), shapes)
    flat = {options: shape[:3] if dict(options)["size"] == "half" else shape for options, shape in shapes.items()}
    said = r"study.yaml: search.choices: size.half, people.all: model.spatial_dims: 3 is not allowed: prepared images"
    with pytest.raises(UserError, match=said):
        check_image_shapes(loaded(choosing(DATA)), flat)
    paired = {"volume": {}, "slice": {"data": {"transforms": [{"Slice": {}}]}, "model": {"spatial_dims": 2}}}
    both: dict[Options, tuple[int, ...]] = {(("cut", "volume"),): (1, 16, 16, 16), (("cut", "slice"),): (1, 16, 16)}
    check_image_shapes(loaded(choosing({"cut": paired})), both)


def test_a_searched_training_field_suits_every_option() -> None:
    study = choosing(
        {"length": {"long": {}, "short": {"training": {"epochs": 5}}}},
        override={"training.warmup_epochs": {"low": 0, "high": 6}},
    )
    with pytest.raises(UserError, match=r"search.choices.length.short: search.override: training.warmup_epochs 6 must"):
        check_spec(loaded(study))
