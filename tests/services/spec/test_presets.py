"""A spec over a preset."""

from typing import Any

import pytest

from contrasweep.services.spec import presets
from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import SweepSpec, spec_of
from contrasweep.trainers.errors import UserError
from tests.services.spec.test_spec import MINIMAL, loaded


def over(preset: Any, **sections: Any) -> SweepSpec:
    search = {"spaces": ["supremix"], **sections.pop("search", {})}
    return spec_of({**MINIMAL, "search": search, **sections, "preset": preset}, "study.yaml")


@pytest.mark.parametrize("name", presets.names())
def test_the_id_is_that_of_what_is_written_out(name: str) -> None:
    recipe = presets.preset(name)
    methods = sorted({key.partition(".")[0] for key in recipe.get("search", {}).get("fix", {})}) or ["dynlocrep"]
    spec = over(name, search={"spaces": methods})
    search = {"spaces": methods, **recipe.get("search", {})}
    written = spec_of(
        {**MINIMAL, **recipe, "data": {**MINIMAL["data"], **recipe.get("data", {})}, "search": search}, ""
    )
    assert spec == written and spec.sweep_id == written.sweep_id
    assert spec.sweep_id != spec_of({**MINIMAL, "search": {"spaces": methods}}, "").sweep_id
    check_spec(loaded({**MINIMAL, "search": {"spaces": methods}, "preset": name}))


def test_what_the_spec_says_is_above_it_field_by_field() -> None:
    spec = over(
        "supremix-ukb",
        model={"encoder": "sfcn"},
        training={"epochs": 20, "augmentations": {"flip": {}}},
        search={"fix": {"supremix.window": 9.0}},
    )
    assert (spec.model.encoder, spec.model.head_hidden) == ("sfcn", 2048)
    assert (spec.training.epochs, spec.training.batch_size, spec.training.augmentations) == (20, 64, {"flip": {}})
    assert (spec.search.fix["supremix.window"], spec.search.fix["supremix.temperature"]) == (9.0, 0.5)


def test_a_component_takes_the_place_of_the_presets_with_its_parameters() -> None:
    assert over("supremix-ukb").probe == {"linear": {"epochs": 100}}
    assert over("supremix-ukb", probe={"linear": {"lr": 0.1}}).probe == {"linear": {"lr": 0.1}}
    assert over("supremix-ukb", probe="ridge").probe == {"ridge": {}}
    split = over("dynlocrep", data={**MINIMAL["data"], "split": {"by": "site"}}).data.split
    assert split.model_dump(exclude_defaults=True) == {"by": "site"}


def test_it_fixes_what_is_searched_and_has_no_range() -> None:
    spec = over("supremix-ukb", search={"override": {"supremix.window": {"low": 1.0, "high": 9.0}}})
    assert "supremix.window" not in spec.search.fix and spec.search.fix["supremix.temperature"] == 0.5
    assert over("supremix-ukb", search={"spaces": ["vanilla"]}).search.fix == {}


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("supremix-ukbb", "study.yaml: preset: unknown preset 'supremix-ukbb'; did you mean 'supremix-ukb'?"),
        (3, "study.yaml: preset: unknown preset '3'; allowed: dynlocrep, "),
        (None, "study.yaml: preset: unknown preset 'None'"),
        ("../presets/dynlocrep", "study.yaml: preset: unknown preset"),
    ],
)
def test_an_unknown_one_is_refused(preset: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        over(preset)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize("section", ["model", "training", "search", "data"])
def test_a_section_that_is_none_is_told_as_ever(section: str) -> None:
    with pytest.raises(UserError, match=rf"study\.yaml: {section}: 3 is not allowed: must be a mapping"):
        spec_of({**MINIMAL, section: 3, "preset": "supremix-ukb"}, "study.yaml")
    with pytest.raises(UserError, match=r"study\.yaml: search\.spaces"):
        over("supremix-ukb", search={"spaces": 3, "override": 4})
