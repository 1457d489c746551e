from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.spec.smoke import smoke
from contrasweep.services.spec.spec import LoadedSpec, spec_of
from tests.services.spec.test_ids import FAIR
from tests.services.spec.test_spec import MINIMAL

STUDY: dict[str, Any] = {
    "name": "a-study-whose-name-is-rather-long-for-one",
    "data": {
        "participants": "people.tsv",
        "image": "{participant_id}.nii.gz",
        "label": "age",
        "covariates": ["sex"],
        "split": {"folds": {"by": "site"}},
        "external": [{"name": "adni", "bids": "adni", "suffix": "T1w"}],
        "train": {"size": 0.5},
    },
    "training": {"epochs": 60, "batch_size": 64, "workers": 2, "schedule": "cosine", "warmup_epochs": 10},
    "probe": {"finetune": {"method": "c_mixup", "epochs": 20, "lr": 1e-4}},
    "search": {
        "spaces": ["supremix", "vanilla", "dynlocrep"],
        "seeds": [3, 4, 5],
        "trials": 40,
        "racing": {"rungs": [10]},
        "fix": {"supremix.window": 5.0},
        "override": {"dynlocrep.nn_final": {"low": 2, "high": 8}, "training.epochs": {"choices": [40, 60]}},
        "choices": {"net": {"small": {}, "large": {"model": {"width": 2.0}}}},
    },
    "budget": {"hours": 8},
}


def loaded(study: dict[str, Any]) -> LoadedSpec:
    return LoadedSpec(spec_of(study, "study.yaml"), Path("study.yaml"), Path())


def test_a_study_in_small_keeps_what_prepares_and_judges() -> None:
    small = smoke(loaded(STUDY))
    spec = small.spec
    assert spec.name == "a-study-whose-name-is-rather-long-smoke" and small.sweep_id != loaded(STUDY).sweep_id
    assert (spec.data.sample, spec.data.covariates, spec.data.external) == (48, ("sex",), ())
    assert (spec.training.epochs, spec.training.batch_size, spec.training.workers) == (2, 16, 2)
    assert spec.probe == {"finetune": {"method": "c_mixup", "epochs": 1, "lr": 1e-4}}
    search = spec.search
    assert (search.spaces, search.seeds, search.trials, search.racing) == (("supremix", "vanilla"), (3,), 2, None)
    assert search.fix == {"supremix.window": 5.0} and not search.override and not search.choices


@pytest.mark.parametrize("changes", FAIR.values(), ids=FAIR)
def test_any_study_has_one_in_small(changes: dict[str, Any]) -> None:
    study = loaded({**MINIMAL, **{section: MINIMAL.get(section, {}) | of for section, of in changes.items()}})
    small = smoke(study).spec
    assert small.model == study.spec.model and small.training.epochs == 2
