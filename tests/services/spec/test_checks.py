"""What is found wrong with a spec before anything is spent, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.spec.checks import check_against_data, check_image_shape, check_spec
from contrasweep.services.spec.spec import load_spec
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, SPECS, changed, loaded


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_specs_beside_the_tests_are_sound(path: Path) -> None:
    check_spec(load_spec(path))


# refused by name


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "data/split",
            {"validation": 0},
            "training.checkpoint: best is not allowed with data.split.validation 0; allowed",
        ),
        ("model/encoder", "resnet81", "model.encoder: unknown encoder 'resnet81'; did you mean 'resnet18'?"),
        ("training/augmentations", {"cutuot": {}}, "unknown augmentation 'cutuot'; did you mean 'cutout'?"),
        ("training/augmentations", {"cutout": {"sise": 1}}, "augmentation 'cutout' has no parameter 'sise'; did you"),
        ("training/augmentations", {"cutout": {"size": "big"}}, "training.augmentations.cutout: "),
        ("search/spaces", ["dynlocrap"], "search.spaces: unknown method 'dynlocrap'; did you mean 'dynlocrep'?"),
        ("data/transforms", [{"Resise": {}}], "unknown transform 'Resise'; did you mean 'Resize'?"),
        (
            "search/fix",
            {"dynlocrep.nn_finl": 3},
            "unknown parameter 'dynlocrep.nn_finl'; did you mean 'dynlocrep.nn_fi",
        ),
        ("model", {"encoder": "tcn"}, "encoder 'tcn': images have 3 spatial dimensions; allowed: 1"),
        ("model", {"width": 1e-6}, "encoder 'resnet18': width is 1e-06; allowed: numbers from"),
        ("model", {"encoder_params": {"patch": 8}}, "encoder 'resnet18' has no parameter 'patch'"),
        ("probe", "rigde", "probe: unknown probe 'rigde'; did you mean 'ridge'?"),
        ("probe", {"linear": {"epoch": 3}}, "probe 'linear' has no parameter 'epoch'; did you mean 'epochs'?"),
        ("probe", {"finetune": {"method": "supremix"}}, "probe.finetune.method: unknown method that trains end to end"),
        ("probe", {"finetune": {"params": {"kind": "l3"}}}, "probe.finetune.params: loss 'vanilla': unknown kind 'l3'"),
        ("probe", {"finetune": {"params": {"width": 8}}}, "probe.finetune.params: unknown parameter 'width'"),
        (
            "probe",
            {"finetune": {"params": {"bend": 0}}},
            "probe.finetune.params: loss 'vanilla': bend is 0; allowed: numbers above 0",
        ),
        (
            "probe",
            {"finetune": {"method": "fds", "params": {"reweight": "no"}}},
            "loss 'fds': reweight is 'no'; allowed: true, false",
        ),
        (
            "training/augmentations",
            {"flip": {"image_shape": [1]}},
            "augmentation 'flip' has no parameter 'image_shape'",
        ),
        ("model", {"width": 1e6}, "model.width: 1000000.0 is not allowed: must be less than or equal to 100"),
        (
            "data/unlabelled",
            "train",
            "data.unlabelled: train is not allowed: no method of search.spaces is one of mae, nnclr, simclr",
        ),
        ("search/fix", {"training.ema": 0.9}, "search.fix: 'training.ema' is fixed already: set it under training"),
        ("search/fix", {"training.lr": -3}, "search.fix: training.lr: -3 is not allowed: must be greater than 0"),
        (
            "search/fix",
            {"dynlocrep.nn_final": 33},
            "dynlocrep.nn_final: 33 is not allowed: must be a whole number of 0",
        ),
        ("search/fix", {"dynlocrep.nn_step_size": 50}, "nn_step_size is 50; allowed: below max_epochs, 50"),
        (
            "search/fix",
            {"dynlocrep.kernel": "rbff"},
            "search.fix: unknown dynlocrep.kernel 'rbff'; did you mean 'rbf'?",
        ),
        (
            "search/fix",
            {"dynlocrep.nn_final": "many"},
            "search.fix: dynlocrep.nn_final is 'many'; allowed: whole numbers from 0",
        ),
        ("search/override", {"dynlocrep.nnfinal": {"low": 1, "high": 2}}, "did you mean 'dynlocrep.nn_final'?"),
        ("search/override", {"dynlocrep.nn_final": {"low": 2, "high": 33}}, "dynlocrep.nn_final: 33 is not allowed"),
        ("search/override", {"dynlocrep.distance": {"choices": ["manhatan"]}}, "did you mean 'manhattan'?"),
        ("search/override", {"training.epochs": {"low": 0, "high": 50}}, "training.epochs: 0 is not allowed"),
        ("search/override", {"training.epochs": {"choices": [20, True]}}, "training.epochs: True is not allowed"),
        ("search/override", {"training.epoch": {"low": 2, "high": 3}}, "did you mean 'training.epochs'?"),
        (
            "search/override",
            {"training.batch_size": {"low": 1, "high": 32}},
            "search.override: training.batch_size: 1 is not allowed",
        ),
        (
            "search/override",
            {"training.batch_size": {"low": 4, "high": 32, "step": 0.5}},
            "search: override: training.batch_size: 0.5 is not allowed: must be a whole number",
        ),
        (
            "search/override",
            {"training.batch_size": {"low": 4.5, "high": 32}},
            "training.batch_size: 4.5 is not allowed",
        ),
        ("search/override", {"training.lr": {"low": 0, "high": 1}}, "search.override: training.lr: 0 is not allowed"),
        ("search/override", {"training.step_epochs": {"low": 1, "high": 2.5}}, "step_epochs: 2.5 is not allowed"),
        (
            "search/override",
            {"training.warmup_epochs": {"low": 0, "high": 50}},
            "warmup_epochs 50 must be below epochs",
        ),
    ],
)
def test_check_refuses(path: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        check_spec(loaded(changed(path, value)))
    assert str(error.value).startswith("study.yaml: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_where_nobody_is_validated_on_there_is_nothing_to_choose_by() -> None:
    spec = changed("data/split", {"validation": 0})
    spec["training"] = {"checkpoint": "last"}
    with pytest.raises(UserError, match=r"^study.yaml: search.trials: \d+ is not allowed with data.split.validation 0"):
        check_spec(loaded(spec))
    spec["search"]["trials"] = 1
    check_spec(loaded(spec))
    spec["final"] = {"ensemble": 4}
    with pytest.raises(UserError, match=r"^study.yaml: final.ensemble: 4 is not allowed with data.split.validation 0"):
        check_spec(loaded(spec))


@pytest.mark.parametrize("bug", [ValueError("ours"), TypeError("ours"), KeyError("ours")])
def test_a_bug_in_a_search_space_is_no_mistake_of_the_user(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def suggest(*_: object) -> dict[str, object]:
        raise bug

    monkeypatch.setattr("contrasweep.search_spaces.supremix.suggest", suggest)
    with pytest.raises(type(bug), match=r"^'?ours'?$"):
        check_spec(loaded(changed("search", {"spaces": ["supremix"]})))


def test_a_method_needs_no_search_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_spaces.names", lambda: [])
    check_spec(loaded(changed("search", {"spaces": ["supremix"], "fix": {"supremix.window": 3.0}})))


def test_check_refuses_a_window_of_zero() -> None:
    document = changed("search", {"spaces": ["supremix"], "fix": {"supremix.window": 0}})
    said = r"^study.yaml: search.fix: supremix.window is 0; allowed: numbers above 0, or inf$"
    with pytest.raises(UserError, match=said):
        check_spec(loaded(document))


def test_check_accepts_overrides_of_training() -> None:
    override = {"training.lr": {"low": 1e-5, "high": 1e-2, "log": True}, "training.ema": {"choices": [0.99, 0.999]}}
    check_spec(loaded(changed("search/override", override)))


def test_check_refuses_a_range_that_steps_on_what_is_not_allowed() -> None:
    search = {"spaces": ["lds"], "override": {"lds.kernel_size": {"low": 3, "high": 9}}}
    with pytest.raises(UserError, match=r"search.override: lds.kernel_size is 4; allowed: odd numbers from 1"):
        check_spec(loaded(changed("search", search)))
    search["override"] = {"lds.kernel_size": {"low": 3, "high": 9, "step": 2}}
    check_spec(loaded(changed("search", search)))


def test_check_refuses_one_view_where_a_method_needs_two() -> None:
    document = changed("search", {"spaces": ["simclr"]}) | {"training": {"views": 1}}
    with pytest.raises(UserError, match=r"^study.yaml: search: training.views: 1 is not allowed: simclr needs two"):
        check_spec(loaded(document))


@pytest.mark.parametrize("probe", ["linear", {"linear": {"epochs": 5, "kind": "huber"}}, {"finetune": {"epochs": 5}}])
def test_check_accepts_probes(probe: Any) -> None:
    check_spec(loaded(changed("probe", probe)))


# refused once the data are known


def test_refuses_mae_on_another_encoder() -> None:
    with pytest.raises(UserError, match=r"^study.yaml: loss 'mae': encoder is 'resnet18'; allowed: vit$"):
        check_image_shape(loaded(changed("search", {"spaces": ["mae"]})), (1, 16, 16, 16))


def test_refuses_a_batch_larger_than_the_training_split() -> None:
    said = r"^study.yaml: training.batch_size: 32 is not allowed: the training split has 31 scans$"
    with pytest.raises(UserError, match=said):
        check_against_data(loaded(MINIMAL), 31, 0, label_range=60.0)


BATCHES = {"training.batch_size": {"low": 16, "high": 32, "step": 8}}


def test_every_end_of_the_batch_sizes_is_checked() -> None:
    document = changed("search/override", BATCHES)
    check_spec(loaded(document))
    check_against_data(loaded(document), 32, 0, label_range=60.0)
    said = r"^study.yaml: search.override: training.batch_size: 32 is not allowed: the training split has 31 scans$"
    with pytest.raises(UserError, match=said):
        check_against_data(loaded(document), 31, 0, label_range=60.0)
    with pytest.raises(UserError, match=r"override: training.batch_size 16 is not a multiple of workers 3"):
        check_spec(loaded(document | {"training": {"workers": 3, "batch_size": 24}}))
    document["search"]["fix"] = {"dynlocrep.nn_final": 20}
    with pytest.raises(UserError, match=r"dynlocrep.nn_final: 20 is not allowed: must be a whole number of 0 to 16"):
        check_spec(loaded(document))


def test_the_batch_size_of_a_point_is_checked() -> None:
    point: dict[str, Any] = {"name": "large", "method": "dynlocrep", "training": {"batch_size": 64}}
    document = changed("search/points", [point])
    check_spec(loaded(document))
    with pytest.raises(UserError, match=r"search.points.large: training.batch_size: 64 is not allowed: the training"):
        check_against_data(loaded(document), 40, 0, label_range=60.0)
    point |= {"training": {"batch_size": 8}, "params": {"nn_final": 9}}
    with pytest.raises(UserError, match=r"search.points.large: dynlocrep.nn_final: 9 is not allowed: .* 0 to 8"):
        check_spec(loaded(document))


def test_where_points_alone_are_tried_an_option_is_checked_with_their_methods() -> None:
    search = {
        "spaces": ["simclr", "vanilla"],
        "choices": {"of": {"one": {"training": {"views": 1}}, "two": {"training": {"views": 2}}}},
        "points": [
            {"name": "a", "method": "simclr", "choices": {"of": "two"}},
            {"name": "b", "method": "vanilla", "choices": {"of": "one"}},
        ],
        "racing": None,
        "trials": 2,
    }
    check_spec(loaded(changed("search", search)))
    with pytest.raises(UserError, match=r"search.choices.of.one: search: training.views: 1 is not allowed: simclr"):
        check_spec(loaded(changed("search", search | {"trials": 3})))


def test_an_axis_may_not_be_called_like_a_field_that_is_searched() -> None:
    axis = {"batch_size": {"small": {}, "large": {"training": {"batch_size": 64}}}}
    document = changed("search/choices", axis)
    check_spec(loaded(document))
    document["search"]["override"] = BATCHES
    with pytest.raises(UserError, match=r"choices: 'batch_size' is not allowed: it is a field of training"):
        loaded(document)


def test_only_methods_that_need_none_count_scans_without_a_label() -> None:
    check_against_data(loaded(changed("search", {"spaces": ["simclr"], "racing": None})), 16, 16, label_range=60.0)
    said = r"32 is not allowed: the training split has 16 scans with a label, which dynlocrep needs$"
    with pytest.raises(UserError, match=said):
        check_against_data(loaded(changed("search", {"spaces": ["simclr", "dynlocrep"]})), 16, 16, label_range=60.0)


@pytest.mark.parametrize(
    "search", [{"racing": {}}, {"racing": None, "spaces": ["dynlocrep", "supremix"], "fair": False}]
)
@pytest.mark.parametrize("sampler", ["gp", "nsga2"])
def test_refuses_samplers_where_they_would_draw_at_random(search: dict[str, Any], sampler: str) -> None:
    said = rf"^study.yaml: search.sampler: {sampler} is not allowed with (racing|several spaces and fair: false): it"
    with pytest.raises(UserError, match=said):
        check_spec(loaded(changed("search", {"spaces": ["dynlocrep"], "sampler": sampler, **search})))
    check_spec(loaded(changed("search", {"spaces": ["dynlocrep"], "sampler": sampler, "racing": None})))
    fair = {"spaces": ["dynlocrep", "supremix"], "sampler": sampler, "racing": None}
    check_spec(loaded(changed("search", fair)))


def test_refuses_labels_without_a_range() -> None:
    with pytest.raises(UserError, match=r"^study.yaml: label range is 0; it must be above 0$"):
        check_against_data(loaded(MINIMAL), 320, 0, label_range=0.0)


def test_accepts_sound_data() -> None:
    check_against_data(loaded(MINIMAL), 32, 0, label_range=60.0)


@pytest.mark.parametrize("sampler", ["random", "qmc", "nsga2", "grid"])
def test_only_what_draws_by_what_others_came_to_learns(sampler: str) -> None:
    learning = {"spaces": ["dynlocrep"], "racing": None, "learn_from": ["study-1ae1c11b"]}
    said = rf"learn_from: is not allowed with sampler: {sampler}, which .*; allowed: gp, tpe$"
    with pytest.raises(UserError, match=said):
        loaded(changed("search", {**learning, "sampler": sampler}))
    for able in ("gp", "tpe"):
        check_spec(loaded(changed("search", {**learning, "sampler": able})))


def test_nothing_is_learned_twice_or_where_outer_folds_have_been_seen() -> None:
    with pytest.raises(UserError, match=r"learn_from: \['one-1', 'two-2', 'one-1'\] repeats one-1$"):
        loaded(changed("search/learn_from", ["one-1", "two-2", "one-1"]))
    document = changed("search/learn_from", ["one-1"])
    document["data"]["split"] = {"outer": 5}
    with pytest.raises(UserError, match=r"search.learn_from: is not allowed with data.split.outer: the earlier sweeps"):
        loaded(document)


# a grid


def grid(**search: Any) -> dict[str, Any]:
    fixed = {"exponential.temperature": 0.5, "exponential.sigma": 2.0}
    axes = {"encoder": {"resnet18": {}, "sfcn": {"model": {"encoder": "sfcn"}}}}
    spaces = ["exponential", "vanilla"]
    return changed("search", {"spaces": spaces, "sampler": "grid", "fix": fixed, "choices": axes, **search})


def test_a_grid_is_as_long_as_its_trials() -> None:
    check_spec(loaded(grid(trials=4)))
    rates = {"training.lr": {"choices": [1e-3, 1e-4, 1e-5]}}
    check_spec(loaded(grid(trials=12, override=rates)))
    points = [{"name": "one", "method": "vanilla"}, {"name": "two", "method": "vanilla", "training": {"lr": 0.5}}]
    check_spec(loaded(grid(trials=5, points=points)))
    for trials in (3, 5, 30):
        with pytest.raises(
            UserError, match=rf"trials: {trials} is not allowed with sampler: grid, which tries all 4 c"
        ):
            check_spec(loaded(grid(trials=trials)))


def test_a_grid_has_steps() -> None:
    said = (
        r"^study.yaml: search.sampler: grid: exponential.temperature, training.lr: no list of values; give choices or"
    )
    rates = {"training.lr": {"low": 1e-4, "high": 1e-3}}
    with pytest.raises(UserError, match=said):
        check_spec(loaded(grid(fix={"exponential.sigma": 2.0}, override=rates)))


def test_a_grid_that_never_ends_is_not_counted_to_its_end() -> None:
    steps = {"training.warmup_epochs": {"low": 0, "high": 40}, "training.step_epochs": {"low": 1, "high": 1_000_000}}
    with pytest.raises(UserError, match=r"which tries all 10000 or more configurations"):
        check_spec(loaded(grid(override=steps)))


# epochs


def test_epochs_are_drawn_before_what_depends_on_them() -> None:
    epochs = {"training.epochs": {"low": 20, "high": 60, "step": 20}}
    spec = loaded(changed("search/override", epochs)).spec
    check_spec(loaded(changed("search/override", epochs)))
    assert sorted({plan.judged_epochs for plan in spec.plans}) == [20, 60]
    drawn = Configuration("dynlocrep", {}, {"epochs": 40})
    assert spec.plan_of(drawn, 0).judged_epochs == 40 and spec.plan_of(drawn, 3).epochs == 40 * 3 * 3
    with pytest.raises(UserError, match=r"nn_step_size"):
        check_spec(
            loaded(
                {
                    **changed("search/override", epochs),
                    "search": {**MINIMAL["search"], "override": epochs, "fix": {"dynlocrep.nn_step_size": 20}},
                }
            )
        )


@pytest.mark.parametrize(
    "search",
    [
        {"override": {"training.epochs": {"low": 9, "high": 60}}},
        {"points": [{"name": "short", "method": "dynlocrep", "training": {"epochs": 9}}]},
    ],
)
def test_rungs_are_inside_the_shortest_training(search: dict[str, Any]) -> None:
    racing = {"racing": {"rungs": [3, 9]}}
    with pytest.raises(
        UserError, match=r"rungs: 9 is not allowed: must be below (search.points.short.)?training.epochs 9"
    ):
        loaded(changed("search", {**MINIMAL["search"], **racing, **search}))
