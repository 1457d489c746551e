"""Methods: their published points, and what they refuse of a search."""

import math

import pytest

from contrasweep.search_spaces import Context, Range, Refused, Value
from contrasweep.services.spec.methods import check_method, parameters_of
from contrasweep.services.spec.spec import SearchConfig
from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from tests.services.spec.published import PUBLISHED

YEARS = Context(batch_size=32, epochs=50, label_range=73.0)


def test_every_method_has_its_published_point() -> None:
    own = {name: losses.parameters(name) for name in PUBLISHED}
    assert own == PUBLISHED
    assert parameters_of(list(PUBLISHED)) == PUBLISHED


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("dynlocrep.nn_final", 33, "dynlocrep.nn_final: 33 is not allowed: must be a whole number of 0 to 32"),
        ("dynlocrep.nn_final", -1, "search.fix: dynlocrep.nn_final is -1; allowed: whole numbers from 0"),
        ("dynlocrep.nn_final", 2.5, "dynlocrep.nn_final is 2.5; allowed: whole numbers from 0"),
        ("dynlocrep.nn_final", True, "dynlocrep.nn_final is True; allowed: whole numbers from 0"),
        ("dynlocrep.nn_step_size", 50, "nn_step_size is 50; allowed: below max_epochs, 50"),
        ("dynlocrep.nn_step_size", 0, "dynlocrep.nn_step_size is 0; allowed: whole numbers from 1"),
        ("dynlocrep.temperature", 0, "dynlocrep.temperature is 0; allowed: numbers above 0"),
        ("dynlocrep.sigma", math.nan, "dynlocrep.sigma is nan; allowed: numbers above 0"),
        ("dynlocrep.sigma", math.inf, "dynlocrep.sigma is inf; allowed: numbers above 0$"),
        ("dynlocrep.lam", -0.5, "dynlocrep.lam is -0.5; allowed: numbers from 0, or inf"),
        ("dynlocrep.distance", 3, "unknown dynlocrep.distance '3'; allowed: chebyshev, cosine"),
        ("supremix.window", 0, "supremix.window is 0; allowed: numbers above 0, or inf"),
        ("supremix.window", -2.0, "supremix.window is -2.0; allowed: numbers above 0, or inf"),
        ("supremix.beta", 0.0, "supremix.beta is 0.0; allowed: numbers above 0"),
        ("supremix.renormalise", 1, "supremix.renormalise is 1; allowed: true, false"),
        ("exponential.sigma", 0, "exponential.sigma is 0; allowed: numbers above 0"),
    ],
)
def test_refuses_fixed_values(key: str, value: Value, said: str) -> None:
    method = key.split(".")[0]
    with pytest.raises((UserError, Refused), match=said):
        check_method(method, SearchConfig(spaces=(method,), fix={key: value}), YEARS)


@pytest.mark.parametrize(
    ("key", "allowed", "said"),
    [
        ("dynlocrep.nn_final", Range(low=2, high=48), "dynlocrep.nn_final: 48 is not allowed"),
        (
            "dynlocrep.nn_final",
            Range(low=2, high=24, step=0.5),
            "search.override: dynlocrep.nn_final: step 0.5 is not allowed",
        ),
        ("dynlocrep.nn_step_size", Range(choices=(1, 50)), "nn_step_size is 50; allowed: below max_epochs, 50"),
        ("supremix.window", Range(low=0, high=5), "search.override: supremix.window is 0; allowed: numbers above 0"),
        ("supremix.weight", Range(low=0, high=1), "unknown supremix.weight '0'; allowed: none, plain"),
    ],
)
def test_refuses_ranges_that_reach_too_far(key: str, allowed: Range, said: str) -> None:
    method = key.split(".")[0]
    with pytest.raises((UserError, Refused), match=said):
        check_method(method, SearchConfig(spaces=(method,), override={key: allowed}), YEARS)


def test_a_parameter_that_is_off_can_be_fixed_to_a_number() -> None:
    def fixed(value: bool | int | float | str) -> None:
        check_method("supcon", SearchConfig(spaces=("supcon",), fix={"supcon.bin_size": value}), YEARS)

    fixed(5.0)
    for wrong in ("wide", 0.0):
        with pytest.raises(UserError, match=rf"search.fix: supcon.bin_size is {wrong!r}; allowed: numbers above 0"):
            fixed(wrong)
