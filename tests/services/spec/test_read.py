"""What is read of each training beside what configurations are judged by."""

from typing import Any

import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.smoke import smoke
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, loaded, parsed

READ: dict[str, Any] = {
    "probes": ["ridge", {"linear": {"kind": "huber"}}],
    "features": ["encoder", "projection"],
    "epochs": [1, 6, 21],
}


def reading(read: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**MINIMAL, **changes, "read": read}


def test_what_is_read_makes_another_sweep_and_is_read_back() -> None:
    spec = parsed(reading(READ))
    assert spec.read and spec.read.probes == ({"ridge": {}}, {"linear": {"kind": "huber"}})
    assert parsed({**MINIMAL, "read": None}).sweep_id == parsed(MINIMAL).sweep_id != spec.sweep_id
    assert loaded(reading(READ)).spec == spec


@pytest.mark.parametrize(
    ("read", "changes", "said"),
    [
        ({"epochs": [1, 60]}, {}, "read.epochs: 60 is not allowed: must be at most training.epochs 50"),
        (
            {"epochs": [11]},
            {"probe": {"finetune": {"epochs": 10}}},
            "read.epochs: 11 is not allowed: must be at most probe.finetune.epochs 10",
        ),
        (
            {"epochs": [11]},
            {"search": {"spaces": ["dynlocrep"], "override": {"training.epochs": {"choices": [10, 20]}}}},
            "read.epochs: 11 is not allowed: must be at most training.epochs 10",
        ),
        (
            {"epochs": [11]},
            {
                "search": {
                    "spaces": ["dynlocrep"],
                    "points": [{"name": "short", "method": "dynlocrep", "training": {"epochs": 5}}],
                    "racing": None,
                }
            },
            "read.epochs: 11 is not allowed: must be at most search.points.short.training.epochs 5",
        ),
        ({"epochs": [6, 1]}, {}, r"read.epochs: \[6, 1\] must be in ascending order without repeats"),
        ({"epochs": [0]}, {}, r"read.epochs\[0\]: 0 is not allowed"),
        ({"features": ["encoder", "encoder"]}, {}, "read.features: encoder is there 2 times"),
        ({"features": ["encode"]}, {}, "did you mean 'encoder'"),
        ({"probes": ["ridge", {"ridge": {}}]}, {}, "read.probes: {'ridge': {}} is there 2 times"),
        ({"probe": ["ridge"]}, {}, "read.probe: unknown key; did you mean 'probes'"),
    ],
)
def test_what_cannot_be_read_is_refused(read: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parsed(reading(read, **changes))


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("rigde", "read.probes: unknown probe 'rigde'; did you mean 'ridge'"),
        ("finetune", "read.probes: unknown probe 'finetune'"),
        ({"linear": {"epoch": 3}}, "read.probes: probe 'linear' has no parameter 'epoch'"),
    ],
)
def test_probes_are_checked_before_anything_is_spent(probe: Any, said: str) -> None:
    check_spec(loaded(reading(READ)))
    with pytest.raises(UserError, match=said):
        check_spec(loaded(reading({"probes": [probe]})))


def test_a_run_keeps_the_weights_that_are_read() -> None:
    run = run_config(parsed(reading(READ)), Configuration("dynlocrep", {}), 0)
    assert run.keep == (1, 6, 21) and run.finetuning().keep == run.keep and run.pretraining().keep == ()
    assert "keep" not in run.model_dump(mode="json")
    assert run_config(parsed(MINIMAL), Configuration("dynlocrep", {}), 0).keep == ()


@pytest.mark.parametrize(("probe", "epochs"), [({"ridge": {}}, (1, 2)), ({"finetune": {"epochs": 9}}, (1,))])
def test_in_small_it_reads_the_epochs_that_there_are(probe: dict[str, Any], epochs: tuple[int, ...]) -> None:
    study = loaded(reading(READ | {"epochs": [1, 2, 3]}, probe=probe))
    small = smoke(study).spec
    assert study.spec.read and small.read == study.spec.read.model_copy(update={"epochs": epochs})
