"""Specs: what is read, what is refused and in which words, and which specs are the same sweep."""

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, load_spec, parse_spec
from contrasweep.trainers.errors import UserError

SPECS = Path(__file__).parents[2] / "specs"
MINIMAL: dict[str, Any] = {
    "name": "study",
    "data": {"participants": "participants.tsv", "image": "{participant_id}.nii.gz", "label": "age"},
    "search": {"spaces": ["dynlocrep"]},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """MINIMAL with `value` at `path`, whose parts are separated by slashes."""
    document = copy.deepcopy(MINIMAL)
    *folders, last = path.split("/")
    inner = document
    for part in folders:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return document


def parsed(document: dict[str, Any]) -> SweepSpec:
    return parse_spec(yaml.safe_dump(document, sort_keys=False), "study.yaml")


def loaded(document: dict[str, Any]) -> LoadedSpec:
    return LoadedSpec(parsed(document), Path("study.yaml"), Path())


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(inner, rng) for inner in value]
    if not isinstance(value, dict):
        return value
    keys = rng.sample(sorted(value), len(value))
    return {key: shuffled(value[key], rng) for key in keys}


# reading


def test_defaults() -> None:
    spec = parsed(MINIMAL)
    assert (spec.search.seeds, spec.search.parallel, spec.search.sampler) == ((0, 1, 2), 4, "tpe")
    assert spec.search.racing is not None
    assert (spec.search.racing.rungs, spec.search.racing.finalists) == ((), 3)
    assert spec.budget.hours is None


def test_null_turns_racing_off() -> None:
    assert parsed(changed("search/racing", None)).search.racing is None


def test_numbers_as_people_write_them() -> None:
    text = yaml.safe_dump(changed("search/fix", {"dynlocrep.lam": "LAM"})) + "training: {lr: 1e-4, epochs: 40}\n"
    for infinity in (".inf", "inf", "+inf"):
        spec = parse_spec(text.replace("LAM", infinity), "study.yaml")
        assert spec.search.fix["dynlocrep.lam"] == math.inf
        assert spec.training.lr == 1e-4


def test_relative_paths_start_at_the_specs_folder(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(MINIMAL))
    assert load_spec(tmp_path / "study.yaml").base == tmp_path.resolve()


# canonical YAML and identity


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_canonical_yaml_gives_the_spec_back(path: Path) -> None:
    spec = load_spec(path).spec
    again = parse_spec(spec.to_yaml(), "copy.yaml")
    assert (again, again.sweep_id, again.to_yaml()) == (spec, spec.sweep_id, spec.to_yaml())


SPLITS: list[dict[str, Any]] = [
    {"column": "site", "test": ["B", 3]},
    {"by": "site", "test": ["B"], "validation": ["C"]},
    {"by": "site", "test": ["B"], "validation": 0.3, "family": "family"},
    {"files": {"train": "a.txt", "test": "ids.txt"}},
    {"folds": 5, "stratify": ["sex"]},
    {"folds": {"by": "site"}},
    {"outer": 5, "folds": 4},
    {"outer": {"by": "site"}, "validation": 0.3},
    {"column": "site", "validation": ["B"], "outer": 3},
    {"files": {"train": "a.txt"}, "outer": 3},
]


@pytest.mark.parametrize("split", SPLITS)
def test_canonical_yaml_gives_every_kind_of_split_back(split: dict[str, Any]) -> None:
    spec = parsed(changed("data/split", split))
    again = parse_spec(spec.to_yaml(), "copy.yaml")
    assert (again, again.sweep_id) == (spec, spec.sweep_id)
    assert spec.data.split.model_dump(exclude_unset=True, mode="json") == split


@settings(max_examples=40)
@given(
    label=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    lr=st.floats(min_value=1e-12, max_value=1e6),
    lam=st.floats(min_value=0, allow_nan=False),
    text=st.sampled_from(["1e-4", "inf", ".inf", "null", "yes", "1:30", "0x1", "2020-01-01", "", "~", "nan"]),
)
def test_canonical_yaml_keeps_every_value(label: str, lr: float, lam: float, text: str) -> None:
    document = changed("training", {"lr": lr})
    document["data"] |= {"label": label, "image": text}
    document["search"]["fix"] = {"dynlocrep.lam": lam, "dynlocrep.kernel": text}
    spec = SweepSpec.model_validate(document)
    assert parse_spec(spec.to_yaml(), "copy.yaml") == spec


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_count(rng: random.Random) -> None:
    document = yaml.safe_load((SPECS / "soop_nihss.yaml").read_text())
    assert parsed(shuffled(document, rng)).sweep_id == parsed(document).sweep_id


def test_defaults_and_notation_do_not_count() -> None:
    written = changed("search", {"spaces": ["dynlocrep"], "trials": 30, "fix": {"dynlocrep.sigma": 2}})
    same = changed("search", {"spaces": ["dynlocrep"], "fix": {"dynlocrep.sigma": 2.0}})
    assert parsed(written).sweep_id == parsed(same).sweep_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data/label", "sex"),
        ("data/split", {"seed": 1}),
        *(("data/split", split) for split in SPLITS),
        ("data/transforms", [{"NormalizeIntensity": {}}]),
        ("model", {"width": 0.5}),
        ("training", {"lr": 2e-4}),
        ("search/spaces", ["supremix"]),
        ("search/parallel", 2),
        ("search/racing", None),
        ("search/fix", {"dynlocrep.sigma": 2.0}),
        ("search/override", {"dynlocrep.nn_final": {"low": 2, "high": 9}}),
    ],
)
def test_science_changes_the_id(path: str, value: Any) -> None:
    assert parsed(changed(path, value)).sweep_id != parsed(MINIMAL).sweep_id


@pytest.mark.parametrize(("path", "value"), [("data/feed", "stream"), ("budget", {"hours": 1})])
def test_what_only_says_how_or_how_long_does_not(path: str, value: Any) -> None:
    assert parsed(changed(path, value)).sweep_id == parsed(MINIMAL).sweep_id


def test_the_order_of_images_counts() -> None:
    given = {"t1": "{participant_id}/T1.nii.gz", "t2": "{participant_id}/T2.nii.gz"}
    one, other = (parsed(changed("data/image", dict(order))) for order in (given.items(), reversed(given.items())))
    assert one.sweep_id != other.sweep_id
    for spec in (one, other):
        again = parse_spec(spec.to_yaml(), "copy.yaml")
        assert list(again.data.images) == list(spec.data.images)
        assert again.sweep_id == spec.sweep_id


def test_the_order_of_augmentations_counts() -> None:
    one = changed("training/augmentations", {"cutout": {}, "flip": {}})
    other = changed("training/augmentations", {"flip": {}, "cutout": {}})
    assert parsed(one).sweep_id != parsed(other).sweep_id
    assert list(parse_spec(parsed(other).to_yaml(), "copy.yaml").training.augmentations) == ["flip", "cutout"]


def test_the_id_is_name_and_hash() -> None:
    name, _, digest = parsed(MINIMAL).sweep_id.rpartition("-")
    assert name == "study"
    assert len(digest) == 8 and int(digest, 16) >= 0


# refused while reading


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("training/epoch", 3, "training.epoch: unknown key; did you mean 'epochs'? allowed: augmentations, batch_size"),
        ("trainings", {}, "trainings: unknown key; did you mean 'training'? allowed: budget, data"),
        ("data/participant", "x", "data.participant: unknown key; did you mean 'participants'?"),
        ("search/racing", {"rung": [1]}, "search.racing.rung: unknown key; did you mean 'rungs'? allowed: confidence"),
        ("search/override", {"dynlocrep.sigma": {"lo": 1}}, "search.override.dynlocrep.sigma.lo: unknown key; did"),
        ("training/lr", -1, "training.lr: -1 is not allowed: must be greater than 0"),
        ("training/lr", math.inf, "training.lr: inf is not allowed: must be a finite number"),
        ("training/lr", "fast", "training.lr: fast is not allowed: must be a number"),
        ("training/epochs", 2.5, "training.epochs: 2.5 is not allowed: must be a whole number"),
        ("training/epochs", True, "training.epochs: true is not allowed: must be a whole number"),
        ("data/affine", "qfrom", "data.affine: qfrom is not allowed; did you mean 'qform'? allowed: qform, sform"),
        ("training/views", 3, "training.views: 3 is not allowed; allowed: 1, 2"),
        ("training", {"batch_size": 10, "workers": 4}, "training: batch_size 10 is not a multiple of workers 4"),
        ("training", 3, "training: 3 is not allowed: must be a mapping"),
        ("data/label", 3, "data.label: 3 is not allowed: must be text"),
        ("data/image", 3, "data.image: 3 is not allowed: must be text"),
        ("data/image", {}, "data.image: is empty; at least one image is needed"),
        ("data/image", {"t1": 3}, "data.image.t1: 3 is not allowed: must be text"),
        ("data/image", {"": "{id}"}, "data.image: '' is no name for an image: must be text without blanks around it"),
        ("data/image", {"t\n1": "{id}"}, "data.image: 't\\n1' is no name for an image"),
        ("data/bids", "ds", "data: image is not allowed with bids"),
        ("data/suffix", {"t1": "T1w"}, "data.suffix: {'t1': 'T1w'} is not allowed: must be text"),
        ("data/split", {"test": 0.5, "validation": 0.5}, "data.split: test + validation is 1; it must be below 1"),
        ("data/split", {"test": 1.5}, "data.split.test: 1.5 is not allowed: must be less than 1"),
        ("data/split", {"stratify": "age"}, "data.split.stratify: age is not allowed: must be a list"),
        ("data/split", "TEST", "data.split: TEST is not allowed: must be a mapping"),
        (
            "data/split",
            {"colum": "Split"},
            "data.split.colum: unknown key; did you mean 'column'? "
            "allowed: by, column, family, files, folds, outer, seed, stratify, test, validation",
        ),
        (
            "data/split",
            {"column": "Split", "trian": ["A"]},
            "data.split.trian: unknown key; did you mean 'train'? "
            "allowed: column, family, folds, outer, seed, stratify, test, train, validation",
        ),
        ("data/split", {"column": "Split", "test": "TEST"}, "data.split.test: TEST is not allowed: must be a list"),
        (
            "data/split",
            {"column": "S", "test": [True]},
            "data.split.test[0]: true is not allowed: must be one of: text",
        ),
        ("data/split", {"by": "site", "validation": 2}, "data.split.validation: 2 is not allowed: must be less than 1"),
        ("data/split", {"by": "s", "test": ["A"], "validation": ["A"]}, "data.split: 'A' is in both validation and te"),
        ("data/split", {"files": "ids.txt"}, "data.split.files: ids.txt is not allowed: must be a mapping"),
        (
            "data/split",
            {"files": {"tset": "a"}},
            "data.split.files.tset: unknown key; did you mean 'test'? allowed: te",
        ),
        ("data/split", {"files": {"train": "a.txt"}}, "data.split: files.test is missing"),
        ("data/split", {"outer": 1}, "data.split.outer: 1 is not allowed: must be greater than or equal to 2"),
        ("data/split", {"outer": 5, "test": 0.3}, "data.split: test is not allowed with outer: each outer fold"),
        ("data/split", {"by": "s", "test": ["A"], "outer": 2}, "data.split: test is not allowed with outer"),
        ("data/split", {"files": {"test": "t"}, "outer": 2}, "data.split: files.test is not allowed with outer"),
        ("data/split", {"folds": 1}, "data.split.folds: 1 is not allowed: must be greater than or equal to 2"),
        ("data/split", {"folds": "five"}, "data.split.folds: five is not allowed: must be a whole number"),
        ("data/split", {"folds": {"site": "A"}}, "data.split.folds.site: unknown key; allowed: by"),
        ("data/split", {"folds": 5, "validation": 0.3}, "data.split: validation is not allowed with folds: each fold"),
        (
            "data/split",
            {"files": {"validation": "v", "test": "t"}, "folds": 2},
            "data.split: files.validation is not allowed with folds",
        ),
        ("data/train", {"size": 0}, "data.train.size: 0 is not allowed: must be a share up to 1, or a whole number of"),
        ("data/train", {"size": 1.5}, "data.train.size: 1.5 is not allowed: must be a share up to 1, or a whole"),
        ("data/train", {"size": "half"}, "data.train.size: half is not allowed: must be a number"),
        ("data/train", {"drop": [[50, 45]]}, "data.train.drop[0]: [50, 45] is not allowed: must be [low, high) with"),
        ("data/train", {"drop": [45, 50]}, "data.train.drop[0]: 45 is not allowed: must be a list"),
        ("data/train", {"bins": 1}, "data.train.bins: 1 is not allowed: must be greater than or equal to 2"),
        ("data/train", {"bins": {"size": 5}}, "data.train.bins.size: unknown key; allowed: width"),
        ("data/train", {"permute": "labels"}, "data.train.permute: labels is not allowed; allowed: values"),
        ("data/train", {"seeds": 1}, "data.train.seeds: unknown key; did you mean 'seed'?"),
        ("data/transforms", ["Resize"], "data.transforms[0]: Resize is not allowed: must be a mapping"),
        ("name", "My study", "name: 'My study' is not allowed: must be 1 to 63 of a-z"),
        ("name", "../x", "name: '../x' is not allowed"),
        (
            "search/sampler",
            "tpf",
            "search.sampler: tpf is not allowed; did you mean 'tpe'? allowed: gp, grid, nsga2, qmc",
        ),
        ("search/trials", 0, "search.trials: 0 is not allowed: must be greater than or equal to 1"),
        ("search/seeds", [], "search.seeds: is empty; at least one is needed"),
        ("search/seeds", [0, 1, 0], "search.seeds: [0, 1, 0] repeats 0"),
        ("search/seeds", [-1], "search.seeds[0]: -1 is not allowed"),
        ("search/seeds", 3, "search.seeds: 3 is not allowed: must be a list"),
        ("search/spaces", [], "search.spaces: is empty"),
        ("search/spaces", ["vanilla", "vanilla"], "search.spaces: ['vanilla', 'vanilla'] repeats vanilla"),
        (
            "search/racing",
            {"rungs": [5, 50]},
            "search.racing.rungs: 50 is not allowed: must be below training.epochs 50",
        ),
        ("search/racing", {"rungs": [5, 3]}, "search.racing: rungs [5, 3] must be in ascending order"),
        (
            "search/fix",
            {"dynlocrep.sigma": None},
            "search.fix.dynlocrep.sigma: null is not allowed: must be one of: true",
        ),
        ("search/override", {"dynlocrep.sigma": {"low": "a", "high": 2}}, "low: a is not allowed: must be a number"),
        ("search/override", {"dynlocrep.sigma": {"low": 3, "high": 2}}, "low 3 and high 2 must be finite and in order"),
        ("budget", {"hours": 0}, "budget.hours: 0 is not allowed: must be greater than 0"),
        ("probe", {"ridge": {}, "linear": {}}, "probe: ['ridge', 'linear'] is not allowed: one name"),
        ("model", {"encoder_params": {"width": 2}}, "model.encoder_params: 'width' is not allowed"),
        ("probe", 3, "probe: 3 is not allowed: must be a mapping"),
        ("probe", {"finetune": {"epoch": 3}}, "probe: finetune.epoch: unknown key; did you mean 'epochs'?"),
        ("probe", {"finetune": {"lr": 0}}, "probe: finetune.lr: 0 is not allowed: must be greater than 0"),
    ],
)
def test_refuses(path: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        parsed(changed(path, value))
    assert str(error.value).startswith("study.yaml: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_ensemble_is_of_two_seeds_or_more_and_of_none_that_were_refitted() -> None:
    plain = parsed(MINIMAL)
    assert plain.final.ensemble is None
    assert parsed(changed("final", {"ensemble": None})).sweep_id == plain.sweep_id
    assert parsed(changed("final", {"ensemble": 8})).sweep_id != plain.sweep_id
    with pytest.raises(UserError, match=r"^study.yaml: final.ensemble: 1 is not allowed"):
        parsed(changed("final", {"ensemble": 1}))
    refit = changed("final", {"ensemble": 8})
    refit["search"]["refit"] = True
    with pytest.raises(UserError, match=r"^study.yaml: final.ensemble: 8 is not allowed with search.refit, whose runs"):
        parsed(refit)


def test_refuses_a_value_in_both_fix_and_override() -> None:
    search = {"spaces": ["vanilla"], "fix": {"a": 1}, "override": {"a": {"low": 1, "high": 2}}}
    with pytest.raises(UserError, match=r"^study.yaml: search: 'a' is in both fix and override; keep one$"):
        parsed(changed("search", search))


def test_says_what_is_missing_and_how_much_more_is_wrong() -> None:
    with pytest.raises(UserError, match=r"^study.yaml: data.label: is missing; and 2 other mistakes$"):
        parsed({**MINIMAL, "data": {"participants": "p.tsv", "image": "i"}, "budget": 3, "model": {"width": 0}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping of keys to values, and is empty"),
        ("- a\n- b\n", "must be a mapping of keys to values, and is a list"),
        ("just words", "must be a mapping of keys to values, and is a str"),
        ("name: [a\ndata: b", "line 2: not valid YAML"),
        ("name: a\n\tdata: b", "line 2: not valid YAML: found character '\\t' that cannot start any token"),
        ("name: a\nsearch: {trials: 3,\n trials: 4}", "line 3: not valid YAML: key 'trials' appears twice"),
        ("name: &n a\ndata: *n", "line 2: not valid YAML: aliases are not allowed; write the value out"),
        ("1: a", "line 1: not valid YAML: key 1 is not text; put it in quotes"),
        ("x: !!python/object:os.system {}", "line 1: not valid YAML: could not determine a constructor"),
        ("\x00", "not valid YAML: unacceptable character"),
    ],
)
def test_refuses_what_is_not_a_yaml_mapping(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_spec(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study.yaml: no such file; `contrasweep init"):
        load_spec(tmp_path / "study.yaml")


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_spec(tmp_path)


def test_a_probe_is_the_same_with_and_without_its_mapping() -> None:
    assert parsed(changed("probe", {"ridge": {}})).sweep_id == parsed(MINIMAL).sweep_id
    assert parsed(changed("probe", "ridge")).sweep_id == parsed(MINIMAL).sweep_id


def test_rungs_are_epochs_of_fine_tuning_where_there_is_any() -> None:
    racing = {"search": {**MINIMAL["search"], "racing": {"rungs": [5]}}}
    spec = parsed(changed("probe", {"finetune": {"epochs": 6}}) | racing)
    assert (spec.plan.seed_epochs, spec.judged_epochs) == (56, 6)
    said = r"search.racing.rungs: 5 is not allowed: must be below probe.finetune.epochs 5"
    with pytest.raises(UserError, match=said):
        parsed(changed("probe", {"finetune": {"epochs": 5}}) | racing)


def test_json_is_yaml() -> None:
    assert parse_spec(json.dumps(MINIMAL), "study.json") == parsed(MINIMAL)


def test_seeds_of_finalists_are_kept_for_them() -> None:
    fresh = {"search": {**MINIMAL["search"], "racing": {"judged_on": "fresh"}, "seeds": [0, 5, 7]}}
    assert parsed({**MINIMAL, **fresh}).plan.fresh == (1000, 1001, 1002)
    fresh["search"]["seeds"] = [0, 1000]
    with pytest.raises(UserError, match=r"seeds: 1000 is not allowed: with racing\.judged_on: fresh"):
        parsed({**MINIMAL, **fresh})
    assert parsed({**MINIMAL, "search": {**MINIMAL["search"], "seeds": [0, 1000]}}).plan.fresh == ()


# what configurations are compared by


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            {"objective": "person"},
            "search.objective: unknown objective 'person'; did you mean 'pearson'? allowed: gm, ",
        ),
        ({"objective": []}, "search.objective: is empty; at least one is needed"),
        ({"objective": ["mae", "mae"]}, "search.objective: ['mae', 'mae'] repeats mae"),
        ({"objective": "site"}, "search.objective: site is not allowed: it needs data.group, which is not set"),
        ({"objective": ["mae", "worst_group_mae"], "racing": None}, "search.objective: worst_group_mae is not allowed"),
        (
            {"objective": ["mae", "r2"]},
            "search: racing is not allowed with several objectives: it stops by one alone; set racing: null",
        ),
        ({"constraints": {"parameter": {"max": 1}}}, "search.constraints: unknown figure 'parameter'; did you mean"),
        ({"constraints": {"parameters": {"max": 0}}}, "search.constraints.parameters.max: 0 is not allowed"),
        ({"constraints": {"parameters": {"min": 1}}}, "search.constraints.parameters.min: unknown key; allowed: max"),
        (
            {"constraints": {"gpu_memory_gb": {"max": 8}}},
            "search.constraints: gpu_memory_gb is not allowed: it is m",
        ),
    ],
)
def test_refuses_what_cannot_be_compared_or_bounded(search: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        parsed(changed("search", {"spaces": ["dynlocrep"], **search}))
    assert str(refused.value).startswith(f"study.yaml: {said}")
    assert "\n" not in str(refused.value)


def test_objectives_and_bounds_count_and_the_default_does_not() -> None:
    plain = parsed(MINIMAL)
    assert plain.search.objective == ("mae",)
    assert parsed(changed("search/objective", "mae")) == parsed(changed("search/objective", ["mae"])) == plain
    said = [
        ("search/objective", "r2"),
        ("search/objective", "mse"),
        ("search/constraints", {"parameters": {"max": 1e6}}),
        ("search/constraints", {"parameters": {"max": 2e6}}),
    ]
    specs = [parsed(changed(*one)) for one in said]
    assert len({spec.sweep_id for spec in [plain, *specs]}) == 5
    for spec in specs:
        assert parse_spec(spec.to_yaml(), "copy.yaml") == spec
    assert specs[3].plan.bounds == {"parameters": 2e6}
