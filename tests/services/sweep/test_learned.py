"""What a sweep learns from earlier ones: which are refused, what is read of them, and that it is read once."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import keep_race, trial_folder
from contrasweep.services.screen.tables import print_plan
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.services.sweep.learned import Learned, learn, recall
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import PRUNED
from tests.services.data.forty_scans import of, scans
from tests.services.past import leave, spec

__all__ = ["scans"]

PARAMS = losses.parameters("vanilla")
RATES = {"training.lr": {"low": 0.01, "high": 1.0}}
WHOLE = [5.0, 4.0, 4.5, 4.5]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def study(**changes: Any) -> SweepSpec:
    return spec(**{"spaces": ["vanilla"], "seeds": [0, 1], "override": RATES, **changes})


def begun(settings: Settings, one: SweepSpec) -> Path:
    """Where a sweep of `one` leaves its records."""
    SweepFolder.create(settings, LoadedSpec(one, Path("study.yaml"), settings.home.parent))
    return Path(settings.storage_path) / one.sweep_id


def tried(sweep: Path, number: int = 0, mae: float = 4.0, **of: Any) -> None:
    """A complete configuration with this MAE in the mean of its seeds."""
    runs = {seed: [mae + 1, *[mae - 0.5 + seed] * 3] for seed in (0, 1)}
    said = {"method": "vanilla", "params": PARAMS, "training": {"lr": 0.5}, "planned": [0, 1]}
    leave(sweep, number, runs, **{**said, **of})


def learning(*sweeps: Path | str, **changes: Any) -> SweepSpec:
    """A spec that learns from these sweeps."""
    return study(learn_from=[one if isinstance(one, str) else one.name for one in sweeps], **{"parallel": 1, **changes})


def recalled(settings: Settings, one: SweepSpec) -> list[Learned]:
    return recall(one, settings, Path(settings.storage_path) / one.sweep_id)


# refused


def test_sweeps_that_are_not_there_are_refused_with_the_nearest(settings: Settings) -> None:
    known = begun(settings, study()).name
    with pytest.raises(UserError, match=rf"^search.learn_from: no sweep '{known}0' in .*; did you mean '{known}'\?"):
        recalled(settings, learning(f"{known}0"))
    with pytest.raises(UserError, match=rf"'study' is not allowed: must be a whole id; did you mean '{known}'\?$"):
        recalled(settings, learning("study"))


def test_sweeps_of_another_name_or_objective_are_refused(settings: Settings) -> None:
    other = begun(settings, study().model_copy(update={"name": "other"}))
    with pytest.raises(UserError, match=rf"^search.learn_from: {other.name} is not allowed: .* of 'other', not of 's"):
        recalled(settings, learning(other))
    both = begun(settings, study(objective=["mse", "mae"]))
    with pytest.raises(UserError, match=rf"{both.name} is not allowed: its objective is mse, mae, not mae$"):
        recalled(settings, learning(both))


def test_a_sweep_without_a_complete_configuration_is_refused(settings: Settings) -> None:
    earlier = begun(settings, study())
    leave(earlier, 0, {0: WHOLE[:2]}, method="vanilla", state=PRUNED, planned=[0, 1])
    leave(earlier, 1, {}, method="vanilla", failure="Diverged: the loss is nan")
    with pytest.raises(UserError, match=rf"{earlier.name} is not allowed: it has no complete configuration that could"):
        recalled(settings, learning(earlier))


def test_it_is_refused_before_anything_is_spent(settings: Settings, tmp_path: Path) -> None:
    begun(settings, study())
    loaded = LoadedSpec(learning("study-0000"), tmp_path / "study.yaml", tmp_path)
    for verb in (Local(settings).plan, lambda one: run_sweep(one, settings, Console(quiet=True))):
        with pytest.raises(UserError, match=r"^search.learn_from: no sweep 'study-0000'"):
            verb(loaded)
    assert not (settings.sweeps / loaded.sweep_id).exists()


# read


def test_complete_configurations_are_read_as_measured_with_all_of_their_training(settings: Settings) -> None:
    earlier = begun(settings, study(objective="pearson", training={"weight_decay": 0.25}))
    for number, pearson in enumerate((0.5, 0.75)):
        leave(
            earlier,
            number,
            {seed: [0.25, *[pearson + seed / 8] * 3] for seed in (0, 1)},
            method="vanilla",
            params=PARAMS,
            training={"lr": number / 4},
            planned=[0, 1],
            objective="pearson",
        )
    leave(earlier, 2, {0: [0.5] * 4}, method="vanilla", params=PARAMS, planned=[0, 1], objective="pearson")
    first, second = recalled(settings, learning(earlier, objective="pearson"))
    assert (first.sweep, first.values, second.values) == (earlier.name, (0.5625,), (0.8125,))
    training = second.configuration.training
    assert (training["lr"], training["weight_decay"], training["epochs"]) == (0.25, 0.25, 4)


def test_parameters_that_a_method_has_got_since_stand_at_their_defaults(settings: Settings) -> None:
    earlier = begun(settings, study())
    tried(earlier, params={name: value for name, value in PARAMS.items() if name != "soft_bin"})
    (learned,) = recalled(settings, learning(earlier))
    assert learned.configuration.params == PARAMS


def test_a_finalist_is_read_as_its_race_left_it(settings: Settings) -> None:
    one = study(racing={"finalists": 1, "judged_on": "fresh"})
    earlier = begun(settings, one)
    tried(earlier)
    keep_race(earlier, 0, one.plan)
    runs = {0: WHOLE, 1: WHOLE, 1000: [9.0] * 4, 1001: [9.0] * 4}
    leave(earlier, 0, runs, method="vanilla", params=PARAMS, training={"lr": 0.5}, planned=[1000, 1001])
    assert [learned.values for learned in recalled(settings, learning(earlier))] == [(4.0,)]


def test_what_is_not_searched_any_more_is_as_the_spec_has_it(settings: Settings) -> None:
    decay = {"training.weight_decay": {"low": 0.01, "high": 1.0}}
    earlier = begun(settings, study(override={**RATES, **decay}))
    for number, weight_decay in enumerate((0.25, 0.75)):
        tried(earlier, number, number + 1.0, training={"lr": 0.5, "weight_decay": weight_decay})
    here = learning(earlier, training={"weight_decay": 0.75})
    assert [learned.values for learned in recalled(settings, here)] == [(2.0,)]
    assert len(recalled(settings, learning(earlier, override={**RATES, **decay}))) == 2


def test_an_option_means_what_it_did(settings: Settings) -> None:
    wide = {"model": {"width": 0.5}}
    earlier = begun(settings, study(choices={"size": {"small": {}, "wide": wide}}))
    for number, size in enumerate(("small", "wide")):
        tried(earlier, number, number + 1.0, choices={"size": size})
    now = learning(earlier, choices={"size": {"small": {}, "wide": {"model": {"width": 2.0}}, "old": wide}})
    assert [learned.configuration.choices for learned in recalled(settings, now)] == [{"size": "small"}]


def test_bounds_are_those_of_now(settings: Settings) -> None:
    earlier = begun(settings, study())
    for number, parameters in enumerate((50.0, 200.0)):
        tried(earlier, number, also={"parameters": parameters})
    tried(earlier, 2)
    (learned,) = recalled(settings, learning(earlier, constraints={"parameters": {"max": 100}}))
    assert learned.excess == {"parameters": -0.5}


# once


def test_it_is_read_once_whatever_becomes_of_the_earlier_sweep(settings: Settings) -> None:
    earlier, params = begun(settings, study()), {**PARAMS, "bend": float("inf")}
    tried(earlier, params=params)
    now = learning(earlier)
    storage = Path(settings.storage_path) / now.sweep_id
    assert recall(now, settings, storage) and not storage.exists(), "to look leaves nothing behind"
    first = learn(now, settings, storage)
    assert first[0].configuration.params == params
    tried(earlier, 1)
    assert learn(now, settings, storage) == recall(now, settings, storage) == first
    shutil.rmtree(trial_folder(earlier, 0).parent)
    shutil.rmtree(settings.sweeps / earlier.name)
    assert learn(now, settings, storage) == recall(now, settings, storage) == first


def test_who_learns_nothing_writes_nothing(settings: Settings) -> None:
    storage = Path(settings.storage_path) / study().sweep_id
    assert learn(study(), settings, storage) == [] and not storage.exists()


# told


def test_the_plan_says_how_much(scans: Path) -> None:
    settings, loaded = Settings(home=scans / "home"), of(scans, search={"spaces": ["vanilla"], "trials": 5})
    folder = SweepFolder.create(settings, loaded)
    earlier = Path(settings.storage_path) / folder.sweep_id
    for number in range(3):
        runs = {seed: [4.0] * loaded.spec.training.epochs for seed in loaded.spec.search.seeds}
        leave(earlier, number, runs, method="vanilla", params=PARAMS, training={"lr": 1e-3})
    now = of(scans, search={"spaces": ["vanilla"], "trials": 5, "learn_from": [folder.sweep_id]})
    planned = Local(settings).plan(now)
    file = io.StringIO()
    print_plan(Console(file=file, width=80, highlight=False), planned)
    assert "learns   from 1 sweep, 3 configurations\n" in file.getvalue()
    assert planned.learned == {folder.sweep_id: 3}
