"""Choices, overrides and fixed values over the spaces, and what each space refuses."""

import math
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contrasweep import search_spaces
from contrasweep.search_spaces import Context, Parameters, Range, Refused, Value
from contrasweep.trainers import losses

YEARS = Context(batch_size=32, epochs=50, label_range=73.0)


def own(*methods: str) -> dict[str, Parameters]:
    """Methods with their losses' parameters."""
    return {method: losses.parameters(method) for method in methods}


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def test_the_method_is_itself_a_choice(study: optuna.Study) -> None:
    spaces = own("dynlocrep", "supremix")
    drawn = {search_spaces.suggest(study.ask(), spaces, YEARS, {}, {}).method for _ in range(40)}
    assert drawn == set(spaces)
    for trial in study.trials:
        assert {name.split(".")[0] for name in trial.params} == {"method", trial.params["method"]}


def test_one_space_leaves_no_choice(study: optuna.Study) -> None:
    trial = study.ask()
    assert search_spaces.suggest(trial, own("supremix"), YEARS, {}, {}).method == "supremix"
    assert "method" not in trial.params


def test_override_replaces_a_range(study: optuna.Study) -> None:
    override = {"dynlocrep.nn_final": Range(low=4, high=8, step=2), "dynlocrep.lam": Range(choices=(0.0, math.inf))}
    drawn = [search_spaces.suggest(study.ask(), own("dynlocrep"), YEARS, override, {}).params for _ in range(60)]
    assert {params["nn_final"] for params in drawn} == {4, 6, 8}
    assert {params["lam"] for params in drawn} == {0.0, math.inf}


def test_override_makes_a_choice_continuous(study: optuna.Study) -> None:
    override = {"dynlocrep.lam": Range(low=0.1, high=4, log=True)}
    drawn = [search_spaces.suggest(study.ask(), own("dynlocrep"), YEARS, override, {}).params["lam"] for _ in range(20)]
    assert all(isinstance(lam, float) and 0.1 <= lam <= 4 for lam in drawn)
    assert len(set(drawn)) == 20


def test_override_searches_what_the_space_leaves_alone(study: optuna.Study) -> None:
    override = {"dynlocrep.kernel": Range(choices=("cauchy", "triangular"))}
    drawn = {
        search_spaces.suggest(study.ask(), own("dynlocrep"), YEARS, override, {}).params["kernel"] for _ in range(20)
    }
    assert drawn == {"cauchy", "triangular"}


def test_override_searches_training_fields_apart(study: optuna.Study) -> None:
    override = {
        "training.lr": Range(low=1e-5, high=1e-2, log=True),
        "training.step_epochs": Range(low=5, high=20),
        "supremix.window": Range(low=1, high=2),
    }
    configuration = search_spaces.suggest(study.ask(), own("vanilla"), YEARS, override, {})
    assert configuration.params == losses.parameters("vanilla")
    assert configuration.training.keys() == {"lr", "step_epochs"}
    assert isinstance(configuration.training["step_epochs"], int)


def test_a_batch_size_is_drawn_before_what_depends_on_it(study: optuna.Study) -> None:
    """dynlocrep has at most as many neighbours as the batch others."""
    override = {"training.batch_size": Range(choices=(4, 64)), "training.lr": Range(low=1e-4, high=1e-3)}
    most: dict[Value, int] = {}
    for _ in range(60):
        trial = study.ask()
        drawn = search_spaces.suggest(trial, own("dynlocrep"), YEARS, override, {})
        size, neighbours = drawn.training["batch_size"], drawn.params["nn_final"]
        assert isinstance(neighbours, int)
        most[size] = max(most.get(size, 0), neighbours)
        assert next(iter(trial.params)) == "training.batch_size"
        assert drawn.training.keys() == {"batch_size", "lr"}
    assert most[4] <= 4 < most[64] <= 64


def test_published_follows_the_batch_size() -> None:
    def published(low: int, high: int) -> dict[str, Value]:
        override = {"training.batch_size": Range(low=low, high=high)}
        parameters = losses.parameters("dynlocrep")
        return search_spaces.published("dynlocrep", parameters, YEARS, override, {}, {"batch_size": 32})

    within, below = published(16, 64), published(4, 8)
    assert (within["training.batch_size"], within["dynlocrep.nn_final"]) == (32, 14)
    assert (below["training.batch_size"], below["dynlocrep.nn_final"]) == (8, 8)


def test_ends_are_values_of_the_range() -> None:
    assert Range(low=16, high=60, step=16).ends() == (16, 32, 48)
    assert Range(low=2, high=2).ends() == (2, 2)


def test_fix_is_not_asked_for(study: optuna.Study) -> None:
    trial = study.ask()
    fix: dict[str, Value] = {"supremix.window": 5, "supremix.weight": "relative", "dynlocrep.nn_final": 3}
    params = search_spaces.suggest(trial, own("supremix"), YEARS, {}, fix).params
    assert (params["window"], params["weight"]) == (5.0, "relative")
    assert "supremix.window" not in trial.params


def test_published_follows_overrides_and_training() -> None:
    override = {
        "dynlocrep.nn_final": Range(low=16, high=24),
        "dynlocrep.lam": Range(choices=(0.5, 1.0)),
        "training.lr": Range(low=1e-3, high=1e-2, log=True),
    }
    point = search_spaces.published(
        "dynlocrep", losses.parameters("dynlocrep"), YEARS, override, {"dynlocrep.sigma": 3.0}, {"lr": 1e-4}
    )
    assert (point["dynlocrep.nn_final"], point["dynlocrep.lam"], point["training.lr"]) == (16, 0.5, 1e-3)
    assert "dynlocrep.sigma" not in point


def test_published_lengths_are_clipped_into_the_label_range() -> None:
    point = search_spaces.published("supremix", losses.parameters("supremix"), Context(32, 50, label_range=2.0), {}, {})
    assert point["supremix.window"] == 0.5


@given(low=st.integers(-50, 50), span=st.integers(0, 60), step=st.integers(1, 9), start=st.integers(-200, 200))
def test_published_lands_on_the_grid(low: int, span: int, step: int, start: int) -> None:
    override = {"training.warmup_epochs": Range(low=low, high=low + span, step=step)}
    point = search_spaces.published(
        "vanilla", losses.parameters("vanilla"), YEARS, override, {}, {"warmup_epochs": start}
    )
    assert point["training.warmup_epochs"] in range(low, low + span + 1, step)


def test_infinity_survives_sqlite(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/optuna.db"
    study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial(search_spaces.published("dynlocrep", losses.parameters("dynlocrep"), YEARS, {}, {}))
    fixed = search_spaces.suggest(study.ask(), own("dynlocrep"), YEARS, {}, {})
    assert fixed.params == losses.parameters("dynlocrep")

    reopened = optuna.load_study(storage=storage, study_name="s")
    adopted = optuna.Trial(reopened, reopened.trials[0]._trial_id)
    assert search_spaces.suggest(adopted, own("dynlocrep"), YEARS, {}, {}) == fixed
    assert reopened.trials[0].params["dynlocrep.lam"] == math.inf


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"low": 1},
        {"low": 1, "high": 2, "choices": (1, 2)},
        {"choices": ()},
        {"low": 3, "high": 1},
        {"low": 1, "high": math.inf},
        {"low": math.nan, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": 1, "high": 2, "log": True, "step": 1},
        {"low": 1, "high": 2, "step": 0},
        {"low": 1, "height": 2},
    ],
)
def test_refuses_half_a_range(given_: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Range.model_validate(given_)


def test_refuses_labels_without_a_range() -> None:
    with pytest.raises(Refused, match="label range is 0"):
        Context(32, 50, label_range=0.0)


# all of a product


def drawn(override: dict[str, Range], fix: dict[str, Value], *methods: str) -> list[dict[str, Value]]:
    asked = search_spaces.product(lambda trial: search_spaces.suggest(trial, own(*methods), YEARS, override, fix))
    found = list(asked)
    assert all(values.items() >= {"method": one.method}.items() for values, one in found if len(methods) > 1)
    return [{"method": one.method, **one.values} for _, one in found]


def test_a_product_has_everything_once() -> None:
    override = {
        "training.batch_size": Range(choices=(8, 16)),
        "training.ema": Range(low=0.5, high=0.9, step=0.2),
        "vanilla.bend": Range(low=1, high=3, step=2),
    }
    found = drawn(override, {"vanilla.kind": "l1"}, "vanilla")
    assert len(found) == len({str(one) for one in found}) == 2 * 3 * 2
    assert {one["ema"] for one in found} == {0.5, 0.7, 0.9}
    assert [one["batch_size"] for one in found] == [8] * 6 + [16] * 6, "the last changes first"


def test_a_product_follows_what_depends_on_what() -> None:
    """`exponential` has something to search, `vanilla` has not."""
    fix: dict[str, Value] = {"exponential.temperature": 0.5, "exponential.sigma": 2.0}
    found = drawn({"exponential.kernel": Range(choices=("rbf", "cauchy"))}, fix, "exponential", "vanilla")
    assert [(one["method"], one.get("kernel")) for one in found] == [
        ("exponential", "rbf"),
        ("exponential", "cauchy"),
        ("vanilla", None),
    ]


def test_a_product_needs_steps() -> None:
    with pytest.raises(Refused, match=r"^exponential.\w+, exponential.\w+: no list of values; give choices or a step"):
        drawn({}, {}, "exponential")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_product_is_itertools(sizes: list[int]) -> None:
    import itertools

    def draw(trial: search_spaces.Suggests) -> tuple[Value, ...]:
        return tuple(trial.suggest_int(str(place), 0, size - 1) for place, size in enumerate(sizes))

    assert [one for _, one in search_spaces.product(draw)] == list(itertools.product(*map(range, sizes)))
