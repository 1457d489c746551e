"""What tells a configuration's runs apart, and how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from contrasweep.services.spec.replicate import REFIT, Replicate, Run, replicate_named
from contrasweep.services.spec.spec import SeedPlan

SEEDS = st.integers(0, 2**32 - 1)
REPLICATES = st.builds(
    Replicate, SEEDS, st.none() | st.just(REFIT) | st.integers(0, 999), st.none() | st.integers(0, 999)
)


class Kept(BaseModel):
    of: dict[Run, float]


@given(REPLICATES)
def test_every_way_of_writing_one_down_is_read_again(run: Replicate) -> None:
    assert {replicate_named(text) for text in (str(run), run.words, run.slug)} == {run}
    kept = Kept(of={run: 1.0})
    assert Kept.model_validate_json(kept.model_dump_json()) == kept


@pytest.mark.parametrize("text", ["", "seed", "fold 1", "fold 1 seed", "seed -1", "best", "1/2", "fold-1-seed-0-x"])
def test_other_text_names_none(text: str) -> None:
    with pytest.raises(ValueError, match="names no run"):
        replicate_named(text)


def test_without_folds_json_has_the_seeds_alone() -> None:
    assert Kept(of={Replicate(3): 1.0}).model_dump(mode="json") == {"of": {"3": 1.0}}
    assert Kept.model_validate({"of": {3: 1.0}}) == Kept(of={Replicate(3): 1.0})


def test_a_plan_runs_each_seed_on_every_fold_before_the_next() -> None:
    plan = SeedPlan((4, 7), judged_epochs=5, folds=2)
    assert plan.replicates == (Replicate(4, 0), Replicate(4, 1), Replicate(7, 0), Replicate(7, 1))
    assert plan.epochs == 20
    assert SeedPlan((4, 7), 5).replicates == (Replicate(4), Replicate(7))
