"""What every search space promises; a new one is picked up by its name."""

import warnings
from collections.abc import Iterator

import optuna
import pytest

from contrasweep import search_spaces
from contrasweep.search_spaces import Context, Parameters
from contrasweep.trainers import losses

CONTEXTS = [
    Context(batch_size=32, epochs=50, label_range=73.0),
    Context(batch_size=32, epochs=50),
    Context(batch_size=2, epochs=2, label_range=1.4, views=1),
    Context(batch_size=512, epochs=400, label_range=1200.0),
]
SPACES = losses.names()


@pytest.fixture(params=CONTEXTS, ids=["years", "unread", "tiny", "months"])
def context(request: pytest.FixtureRequest) -> Context:
    assert isinstance(request.param, Context)
    return request.param


@pytest.fixture
def study() -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def own(space: str) -> dict[str, Parameters]:
    """The method alone, with its loss's parameters."""
    return {space: losses.parameters(space)}


def test_all_methods_are_found() -> None:
    assert set(search_spaces.names()) <= set(SPACES), "each is of a loss"


@pytest.mark.parametrize("space", SPACES)
def test_random_trials_hold_the_invariants(space: str, context: Context, study: optuna.Study) -> None:
    for number in range(200):
        configuration = search_spaces.suggest(study.ask(), own(space), context, {}, {})
        search_spaces.check(space, configuration.params, context)
        if number % 5 == 0:  # it takes longest
            losses.build_decided(space, configuration.params, max_epochs=context.epochs)
        assert configuration.method == space
        assert configuration.params.keys() == losses.parameters(space).keys()


@pytest.mark.parametrize("space", SPACES)
def test_names_carry_the_method(space: str, context: Context, study: optuna.Study) -> None:
    trial = study.ask()
    search_spaces.suggest(trial, own(space), context, {}, {})
    assert trial.params.keys() <= search_spaces.qualified(space, losses.parameters(space)).keys()


@pytest.mark.parametrize("space", SPACES)
def test_published_point_is_inside_the_ranges(space: str, context: Context) -> None:
    point = search_spaces.published(space, losses.parameters(space), context, {}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # FixedTrial warns of a value outside its range
        trial = optuna.trial.FixedTrial(point)
        configuration = search_spaces.suggest(trial, own(space), context, {}, {})
    assert trial.params == point
    search_spaces.check(space, configuration.params, context)


@pytest.mark.parametrize("space", SPACES)
def test_published_point_is_the_papers_where_it_fits(space: str) -> None:
    context = Context(batch_size=32, epochs=50, label_range=73.0)
    point = search_spaces.published(space, losses.parameters(space), context, {}, {})
    assert point == {key: search_spaces.qualified(space, losses.parameters(space))[key] for key in point}


@pytest.mark.parametrize("space", SPACES)
def test_every_parameter_can_be_fixed(space: str, context: Context, study: optuna.Study) -> None:
    fix = search_spaces.qualified(space, losses.parameters(space))
    trial = study.ask()
    configuration = search_spaces.suggest(trial, own(space), context, {}, fix)
    assert configuration.params == losses.parameters(space)
    assert trial.params == {}
    assert search_spaces.published(space, losses.parameters(space), context, {}, fix) == {}
