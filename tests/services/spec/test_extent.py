from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.spec.extent import More, extended, seeds_in
from contrasweep.services.spec.spec import BudgetConfig, Extent, LoadedSpec
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_ids import spec


def loaded(**search: Any) -> LoadedSpec:
    return LoadedSpec(spec({"search": {"trials": 30, "seeds": [0, 1, 2], **search}}), Path("study.yaml"), Path())


def test_how_far_a_sweep_goes_is_no_part_of_its_id() -> None:
    one = loaded().spec
    for search in ({"trials": 60}, {"seeds": [0, 1, 2, 3]}, {"racing": {"finalists": 5}}, {"new_seeds": "all"}):
        assert loaded(**search).spec.sweep_id == one.sweep_id
    assert loaded(racing={"rungs": [3]}).spec.sweep_id != one.sweep_id


def test_a_spec_goes_beyond_another_where_it_asks_for_more() -> None:
    one = loaded().spec
    assert not one.goes_beyond(one)
    assert not loaded(trials=10, seeds=[2]).spec.goes_beyond(one)
    for search in ({"trials": 31}, {"seeds": [7]}, {"racing": {"finalists": 4}}, {"new_seeds": "all"}):
        assert loaded(**search).spec.goes_beyond(one)


def test_what_was_run_is_never_less() -> None:
    on = loaded(trials=10, seeds=[7, 2], racing={"finalists": 5}).spec.going_on_from(loaded().spec)
    assert on.extent == Extent(trials=30, seeds=(0, 1, 2, 7), finalists=5, spaces=("dynlocrep",))
    fewer, more = loaded(spaces=["dynlocrep"]).spec, loaded(spaces=["simclr", "dynlocrep"]).spec
    assert fewer.going_on_from(more).search.spaces == ("simclr", "dynlocrep")
    assert more.going_on_from(fewer).search.spaces == ("dynlocrep", "simclr"), "in the order in which they came"


def test_more_of_a_sweep() -> None:
    more = extended(loaded(), More(trials=60, seeds=(0, 1, 2, 3, 4), finalists=5, all=True))
    assert more.spec.extent == Extent(
        trials=60, seeds=(0, 1, 2, 3, 4), new_seeds="all", finalists=5, spaces=("dynlocrep",)
    )
    assert more.sweep_id == loaded().sweep_id


def test_a_space_that_is_added_brings_its_share_of_trials() -> None:
    search = extended(
        loaded(spaces=["dynlocrep", "supremix"]), More(add_spaces=("simclr", "vanilla", "simclr"))
    ).spec.search
    assert (search.spaces, search.trials) == (("dynlocrep", "supremix", "simclr", "vanilla"), 60)
    assert extended(loaded(), More(add_spaces=("simclr",), trials=31)).spec.search.trials == 31
    three = loaded(spaces=["dynlocrep", "supremix", "simclr"], trials=10)
    assert extended(three, More(add_spaces=("vanilla",))).spec.search.trials == 14, "rounded up"
    assert extended(three, More(add_spaces=("simclr",), trials=10)).spec == three.spec, "it is there"


def test_a_sweep_that_has_more_spaces_covers_one_with_fewer() -> None:
    one, more = loaded().spec, loaded(spaces=["dynlocrep", "simclr"]).spec
    assert more.goes_beyond(one) and not one.goes_beyond(more)
    unknown = one.extent.model_copy(update={"spaces": ()})
    assert unknown.covers(more.extent) and more.extent.covers(unknown), "of a version that could add none"


@pytest.mark.parametrize(
    ("more", "search", "said"),
    [
        (More(), {}, "extend study-ba7900c5: --trials, --seeds, --finalists, --add-space, --hours or --all says"),
        (More(trials=20), {}, "--trials: 20 is not allowed: sweep study-ba7900c5 has 30 already"),
        (
            More(seeds=(0, 1000)),
            {"racing": {"judged_on": "fresh"}},
            "--seeds: 1000 is not allowed: with racing.judged_on: fresh, seeds from 1000 on are the finalists'",
        ),
        (More(finalists=2), {}, "--finalists: 2 is not allowed: sweep study-ba7900c5 has 3 already"),
        (
            More(trials=30, add_spaces=("simclr",)),
            {},
            "--trials: 30 is not allowed: sweep study-ba7900c5 has 30 already",
        ),
        (More(add_spaces=("simclrr",)), {}, "--add-space: unknown method 'simclrr'; did you mean 'simclr'"),
        (More(finalists=5), {"racing": None}, "has no racing, every configuration runs all its seeds"),
    ],
)
def test_what_extends_nothing(more: More, search: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        extended(loaded(**search), more)


def test_what_a_sweep_has_already_changes_nothing() -> None:
    assert not extended(loaded(), More(trials=30, seeds=(0, 1))).spec.goes_beyond(loaded().spec)


@pytest.mark.parametrize("text", ["", "a", "1-3", "3..1", "0..99999999999", "1,,2", "-1"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match=r"--seeds: '.*' is not allowed: such as 0\.\.4 or 0,1,7"):
        seeds_in(text)


def test_seeds() -> None:
    assert seeds_in("0..4") == (0, 1, 2, 3, 4)
    assert seeds_in("0, 1,7..8,1") == (0, 1, 7, 8)


def test_a_larger_budget_is_the_same_sweep_that_goes_as_far_and_longer() -> None:
    one = replace(loaded(), spec=loaded().spec.model_copy(update={"budget": BudgetConfig(hours=0.5)}))
    more = extended(one, More(hours=2.0)).spec
    assert more.sweep_id == one.sweep_id and more.budget.hours == more.extent.hours == 2.0
    assert more.extent.outlasts(one.spec.extent) and not one.spec.extent.outlasts(more.extent)
    assert loaded().spec.extent.outlasts(more.extent), "without a budget there is no end"
    assert not more.goes_beyond(one.spec) and not one.spec.goes_beyond(more)
    with pytest.raises(UserError, match=r"--hours: 0.2 is not allowed: sweep study-ba7900c5 has 0.5 already"):
        extended(one, More(hours=0.2))
    with pytest.raises(UserError, match="--hours: sweep study-ba7900c5 has no budget that could end it"):
        extended(loaded(), More(hours=0.2))
