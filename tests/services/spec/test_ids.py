"""Which specs are the same sweep, in this version and in later ones."""

import hashlib
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, create_model

from contrasweep.services.spec.spec import (
    BudgetConfig,
    FinalConfig,
    RacingConfig,
    SearchConfig,
    SweepSpec,
    kept_spec,
    parse_spec,
)
from contrasweep.trainers.config import DataConfig, ModelConfig, SplitConfig, TrainingConfig
from tests.services.spec.test_spec import MINIMAL, parsed

PINNED: dict[str, dict[str, Any]] = {
    "study-9d651063": {},
    "study-ee7c7270": {"data": {"group": "sex", "split": {"seed": 1}}},
    "study-dbd55df7": {"data": {"transforms": [{"NormalizeIntensity": {"nonzero": True}}], "dtype": "float16"}},
    "study-1d2b181e": {"model": {"encoder": "vit", "spatial_dims": 2, "encoder_params": {"patch": 8}}},
    "study-bdc47fe9": {"training": {"epochs": 20, "lr": 1e-3, "augmentations": {"cutout": {}, "flip": {}}}},
    "study-4b0c25b5": {"training": {"workers": 2}},
    "study-d2532757": {"training": {"gpus_per_worker": 1, "precision": "bf16"}},
    "study-b9e9a2ac": {"probe": {"finetune": {"method": "c_mixup", "epochs": 6}}},
    "study-95f7c1bc": {"search": {"racing": None, "seeds": [0, 1, 2, 3, 4], "fix": {"dynlocrep.sigma": 2}}},
    "study-865aa5ca": {"search": {"override": {"dynlocrep.nn_final": {"low": 2, "high": 9}}, "racing": {"rungs": [5]}}},
}
"""Ids are for ever: who has a sweep under one of these finds it again, whose `search.fair` is false."""

FAIR: dict[str, dict[str, Any]] = {
    "study-ba7900c5": {},
    "study-5eb8a4a6": {"data": {"group": "sex", "split": {"seed": 1}}},
    "study-d3727f9f": {"data": {"transforms": [{"NormalizeIntensity": {"nonzero": True}}], "dtype": "float16"}},
    "study-e2a083dc": {"model": {"encoder": "vit", "spatial_dims": 2, "encoder_params": {"patch": 8}}},
    "study-1e672903": {"training": {"epochs": 20, "lr": 1e-3, "augmentations": {"cutout": {}, "flip": {}}}},
    "study-f30b0980": {"training": {"workers": 2}},
    "study-0e5a3489": {"training": {"gpus_per_worker": 1, "precision": "bf16"}},
    "study-1a0f2fd3": {"probe": {"finetune": {"method": "c_mixup", "epochs": 6}}},
    "study-f409a1c5": {"search": {"racing": None, "seeds": [0, 1, 2, 3, 4], "fix": {"dynlocrep.sigma": 2}}},
    "study-07004463": {"search": {"override": {"dynlocrep.nn_final": {"low": 2, "high": 9}}, "racing": {"rungs": [5]}}},
}
"""The same, tuned fairly, as they are where nothing is said of it."""


DEFAULTS: dict[str, Any] = {
    "data.participants": None,
    "data.bids": None,
    "data.suffix": None,
    "data.entities": {},
    "data.id": "participant_id",
    "data.session": None,
    "data.unit": None,
    "data.licence": None,
    "data.image": None,
    "data.censored": "reject",
    "data.group": None,
    "data.affine": None,
    "data.sample": None,
    "data.transforms": (),
    "data.dtype": "float32",
    "data.normalize": None,
    "data.split.test": 0.2,
    "data.split.validation": 0.2,
    "data.split.stratify": None,
    "data.split.seed": 0,
    "data.split.family": None,
    "data.split.folds": None,
    "data.split.outer": None,
    "data.train.size": 1.0,
    "data.train.seed": 0,
    "data.train.drop": (),
    "data.train.noise": None,
    "data.train.permute": None,
    "data.train.bins": None,
    "data.train.where": {},
    "data.feed": "auto",
    "data.external": (),
    "data.max_rejected": 0.05,
    "model.encoder": "resnet18",
    "model.spatial_dims": 3,
    "model.width": 1.0,
    "model.depth": 1.0,
    "model.encoder_params": {},
    "model.head_hidden": 2048,
    "model.embedding": 128,
    "model.features": "published",
    "model.init_from": None,
    "training.epochs": 50,
    "training.batch_size": 32,
    "training.views": 2,
    "training.augmentations": {},
    "training.lr": 0.0001,
    "training.weight_decay": 5e-05,
    "training.schedule": "step",
    "training.step_epochs": 10,
    "training.step_factor": 0.9,
    "training.warmup_epochs": 0,
    "training.clip_norm": 1.0,
    "training.ema": None,
    "training.evaluate_every": 1,
    "training.workers": 1,
    "training.cpus_per_worker": 1,
    "training.gpus_per_worker": 0.0,
    "training.precision": "fp32",
    "probe": {"ridge": {}},
    "read": None,
    "search.override": {},
    "search.fix": {},
    "search.sampler": "tpe",
    "search.fair": True,
    "search.trials": 30,
    "search.seeds": (0, 1, 2),
    "search.parallel": 4,
    "search.racing.rungs": (),
    "search.racing.finalists": 3,
    "search.racing.confidence": 0.9,
    "search.racing.reinvest": False,
    "budget.hours": None,
    "final.ensemble": None,
}


def unfair(changes: dict[str, Any]) -> SweepSpec:
    """MINIMAL with sections changed, as it was before tuning was fair."""
    return spec({**changes, "search": {**changes.get("search", {}), "fair": False}})


def spec(changes: dict[str, Any]) -> SweepSpec:
    """MINIMAL with sections changed."""
    sections = {key: {**MINIMAL.get(key, {}), **value} for key, value in changes.items()}
    return parsed({**MINIMAL, **sections})


@pytest.mark.parametrize(("sweep_id", "changes"), PINNED.items())
def test_ids_stay(sweep_id: str, changes: dict[str, Any]) -> None:
    assert unfair(changes).sweep_id == sweep_id


@pytest.mark.parametrize(("sweep_id", "changes"), FAIR.items())
def test_ids_of_fair_ones_stay(sweep_id: str, changes: dict[str, Any]) -> None:
    assert spec(changes).sweep_id == sweep_id


@pytest.mark.parametrize("changes", PINNED.values())
def test_what_earlier_versions_kept_is_not_fair(changes: dict[str, Any]) -> None:
    kept = yaml.safe_load(unfair(changes).to_yaml())
    del kept["search"]["fair"]
    text = yaml.safe_dump(kept)
    assert kept_spec(text, "spec.yaml") == unfair(changes)
    assert parse_spec(text, "spec.yaml") == spec(changes), "but a new one of the same words is"
    assert kept_spec(spec(changes).to_yaml(), "spec.yaml") == spec(changes)


def with_new_fields() -> type[SweepSpec]:
    """The spec of a later version, with another field in each of its sections."""

    def grown(base: type[BaseModel], **sections: Any) -> Any:
        return create_model(f"Later{base.__name__}", __base__=base, added=(int, 7), **sections)

    split, racing = grown(SplitConfig), grown(RacingConfig)
    return grown(  # type: ignore[no-any-return]
        SweepSpec,
        data=(grown(DataConfig, split=(split, split())), ...),
        model=(grown(ModelConfig), grown(ModelConfig)()),
        training=(grown(TrainingConfig), grown(TrainingConfig)()),
        search=(grown(SearchConfig, racing=(racing | None, racing())), ...),
        budget=(grown(BudgetConfig), grown(BudgetConfig)()),
        final=(grown(FinalConfig), grown(FinalConfig)()),
    )


@pytest.mark.parametrize(("sweep_id", "changes"), PINNED.items())
def test_a_field_that_is_added_changes_no_id(sweep_id: str, changes: dict[str, Any]) -> None:
    later = with_new_fields()
    document = unfair(changes).model_dump(mode="json", exclude_defaults=True)
    assert later.model_validate(document).sweep_id == sweep_id
    document["training"] = {**document.get("training", {}), "added": 8}
    assert later.model_validate(document).sweep_id != sweep_id, "but its value counts"


def test_what_is_hashed() -> None:
    """Of MINIMAL nothing but what it says, keys in order, and the section of training, always."""
    said = (
        '{"data":{"image":"{participant_id}.nii.gz","label":"age","participants":"participants.tsv"},'
        '"name":"study","search":{"fair":true,"spaces":["dynlocrep"]},"training":{}}'
    )
    assert spec({}).sweep_id == f"study-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def test_no_default_changes() -> None:
    """What is at its default is in no id: to change a default would change what existing ids mean."""
    now = defaults(SweepSpec)
    assert {name: now[name] for name in DEFAULTS} == DEFAULTS


def defaults(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every field's default by its dotted name."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        section = type(default) if isinstance(default, BaseModel) else field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= defaults(section, f"{prefix}{name}.")
        elif not field.is_required():
            found[prefix + name] = default
    return found


@pytest.mark.parametrize(
    "training",
    [{"cpus_per_worker": 4}, {"gpus_per_worker": 1}, {"gpus_per_worker": 0.5}, {"gpus_per_worker": 1, "workers": 4}],
)
def test_machines_do_not_count(training: dict[str, Any]) -> None:
    assert spec({"training": training}).sweep_id == spec({}).sweep_id


def test_workers_count_where_the_result_depends_on_them() -> None:
    """On CPUs batch norm sees each worker's rows; `mae` draws its masks on each."""
    assert spec({"training": {"workers": 2}}).sweep_id != spec({}).sweep_id
    masked = {"search": {"spaces": ["mae"]}, "training": {"gpus_per_worker": 1}}
    several = {**masked, "training": {"gpus_per_worker": 1, "workers": 2}}
    assert spec(several).sweep_id != spec(masked).sweep_id


def test_what_is_only_told_does_not_count() -> None:
    assert spec({"data": {"unit": "years", "licence": "CC BY 4.0"}}).sweep_id == spec({}).sweep_id


def test_a_word_of_old_specs_says_nothing() -> None:
    assert spec({"search": {"objective": "validation_mae"}}) == spec({})


def test_what_is_trained_on_counts() -> None:
    said: list[dict[str, Any]] = [
        {"size": 0.5},
        {"size": 100},
        {"size": 0.5, "seed": 1},
        {"drop": [[45, 50]]},
        {"permute": "values"},
        {"noise": 5.0},
        {"bins": 5},
        {"bins": {"width": 5}},
        {"where": {"site": ["A"]}},
    ]
    ids = {spec({"data": {"train": train}}).sweep_id for train in said}
    assert len(ids | {spec({}).sweep_id}) == len(said) + 1


def test_what_is_learned_from_counts() -> None:
    ids = [spec({"search": {"learn_from": names}}).sweep_id for names in ([], ["study-1"], ["study-1", "study-2"])]
    assert ids[0] == spec({}).sweep_id and len({*ids}) == 3


@pytest.mark.parametrize("train", [{}, {"size": 1}, {"size": 1.0}, {"drop": [], "permute": None, "where": {}}])
def test_all_of_the_training_split_is_what_was_trained_on(train: dict[str, Any]) -> None:
    assert spec({"data": {"train": train}}).sweep_id == spec({}).sweep_id
