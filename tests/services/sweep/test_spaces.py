"""Which spaces configurations are drawn from, as a study keeps it and as a sampler sees it."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import InMemoryStorage

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.methods import POINT
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.extension import extend
from contrasweep.services.sweep.spaces import SPACES, Spaces, add_spaces
from tests.services.past import spec


def study(*methods: str, spaces: tuple[str, ...] = ("a", "b")) -> optuna.Study:
    """A study that has drawn `methods`."""
    made = optuna.create_study()
    for method in methods:
        trial = made.ask()
        if len(spaces) > 1:
            trial.suggest_categorical("method", spaces)
            made._storage._get_trial(trial._trial_id).params["method"] = method  # type: ignore[attr-defined]
        trial.suggest_float(f"{method}.x", 0, 1)
    return made


def test_spaces_that_are_added_are_there_for_later_configurations() -> None:
    known = study("a", "b")
    assert Spaces.of(known, ["a", "b"]) == Spaces(((0, ("a", "b")),))
    add_spaces(known, ["a", "b"], ["a", "b", "c"])
    known.ask()
    add_spaces(known, ["a", "b", "c"], ["a", "b", "c", "d"])
    spaces = Spaces.of(known, ["a", "b", "c", "d"])
    assert [len(spaces.at(number)) for number in (0, 1, 2, 3, 99)] == [2, 2, 3, 4, 4]
    assert [spaces.parameter(number) for number in (1, 2, 3)] == ["method", "method of 3", "method of 4"]
    assert spaces.added == {"c", "d"}
    assert spaces.latest == 3


def test_an_extension_that_did_not_come_to_its_end_counts_for_nothing_until_it_does() -> None:
    known = study("a", "b")
    add_spaces(known, ["a", "b"], ["a", "b", "c"])
    assert Spaces.of(known, ["a", "b"]) == Spaces(((0, ("a", "b")),)), "a sweep that goes on without it"
    known.ask()
    for _ in range(2):
        add_spaces(known, ["a", "b"], ["a", "b", "c"])
        assert Spaces.of(known, ["a", "b", "c"]).lists == ((0, ("a", "b")), (3, ("a", "b", "c")))


def test_nothing_is_kept_where_nothing_was_in_line_or_is_added() -> None:
    known = study()
    add_spaces(known, ["a"], ["a", "b"])
    assert Spaces.of(known, ["a", "b"]).at(0) == ("a", "b")
    known.ask()
    add_spaces(known, ["a", "b"], ["b", "a"])
    assert SPACES not in known.user_attrs


def test_a_sampler_sees_one_parameter_with_the_choices_of_its_time() -> None:
    known = study("a", "b")
    add_spaces(known, ["a", "b"], ["a", "b", "c"])
    trial = known.ask()
    trial.suggest_categorical("method of 3", ["a", "b", "c"])
    spaces = Spaces.of(known, ["a", "b", "c"])
    first, _, last = known.get_trials()
    assert spaces.seen(first, 1) is first, "as long as there are no others"
    for one, kept in ((first, "method"), (last, "method of 3")):
        seen = spaces.seen(one, 3)
        assert seen.params["method"] == one.params[kept]
        assert seen.distributions["method"] == CategoricalDistribution(("a", "b", "c"))
        assert not [name for name in (*seen.params, *seen.distributions) if name.startswith("method of")]
    assert first.distributions["method"] == CategoricalDistribution(("a", "b")), "the study's own is as it was"


def test_where_there_was_one_space_it_is_the_method() -> None:
    known = study("a", spaces=("a",))
    point = known.ask()
    point.set_user_attr(POINT, "named")
    add_spaces(known, ["a"], ["a", "b"])
    known.ask()
    spaces = Spaces.of(known, ["a", "b"])
    drawn, named, own = (spaces.seen(trial, 2) for trial in known.get_trials())
    assert (drawn.params["method"], drawn.distributions["method"]) == ("a", CategoricalDistribution(("a", "b")))
    assert "a.x" in drawn.params
    assert (named.params, own.params) == ({}, {}), "neither was asked for a method"


@pytest.mark.parametrize("killed_at", ["write_state", "keep"])
def test_an_extension_that_is_killed_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    settings, before = Settings(home=tmp_path), spec(spaces=["vanilla"], trials=4)
    folder = SweepFolder.create(settings, LoadedSpec(before, tmp_path / "study.yaml", tmp_path))
    kept, storage = folder.load(), InMemoryStorage()
    known = optuna.create_study(study_name=folder.sweep_id, storage=storage)
    known.ask()
    more = LoadedSpec(before.searching(spaces=("vanilla", "simclr"), trials=8), kept.path, kept.base, folder.sweep_id)

    def run() -> None:
        with folder.driving() as state:
            extend(folder, state, more, storage, tmp_path / "checkpoints")

    with monkeypatch.context() as patched:
        patched.setattr(folder, killed_at, _killed(getattr(folder, killed_at)))
        with pytest.raises(MemoryError):
            run()
    assert folder.load().spec == before
    run()
    assert folder.load().spec.search.spaces == ("vanilla", "simclr")
    assert known.user_attrs[SPACES] == [(0, ("vanilla",)), (1, ["vanilla", "simclr"])]
    assert [phase["spaces"] for phase in known.user_attrs["phases"]] == [["vanilla"]]
    assert [(phase.trials, phase.spaces) for phase in folder.read_state().phases] == [(4, ("vanilla",))]


def _killed(step: Callable[..., None]) -> Callable[..., None]:
    """A step that is never reached after `driving` itself has begun."""
    calls = []

    def instead(*arguments: object) -> None:
        calls.append(arguments)
        if step.__name__ == "keep" or len(calls) == 2:
            raise MemoryError
        step(*arguments)

    return instead
