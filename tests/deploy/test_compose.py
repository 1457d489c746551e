"""The compose files: by the Compose specification's schema, and by our own rules."""

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.policies import unsafe_services
from tests.deploy.shipped import DEPLOY, texts

VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
BASE, GPU = "compose.yaml", "compose.gpu.yaml"


@pytest.fixture(scope="module")
def schema() -> Any:
    """The Compose specification's, as check-jsonschema ships it."""
    return json.loads(files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text())


def _compose(name: str = BASE) -> dict[str, Any]:
    """A file with the defaults of .env.example filled in, as `docker compose` reads it."""
    example = dict(line.split("=", 1) for line in texts()[".env.example"].splitlines() if "=" in line)
    filled = VARIABLE.sub(lambda found: example.get(found[1]) or (found[3] or ""), texts()[name])
    document: dict[str, Any] = yaml.safe_load(filled)
    return document


@pytest.mark.parametrize("name", [BASE, GPU])
def test_a_file_is_what_the_specification_says(name: str, schema: Any) -> None:
    jsonschema.validate(_compose(name), schema)


@pytest.mark.parametrize("change", [{"imag": "web"}, {"ports": 80}, {"cap_drop": "ALL"}, {"read_only": []}])
def test_a_field_that_is_not_there_is_refused(change: dict[str, Any], schema: Any) -> None:
    compose = _compose()
    compose["services"]["service"] |= change

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose, schema)


def test_the_services_keep_the_rules() -> None:
    compose = _compose()

    assert unsafe_services(compose) == []
    assert set(compose["services"]) == {"postgres", "mlflow", "ray-head", "ray-worker", "service"}


def test_stores_and_ray_are_reached_only_from_inside() -> None:
    services = _compose()["services"]

    for name in ("postgres", "ray-head", "ray-worker"):
        assert "ports" not in services[name] and services[name]["networks"] == ["inside"]


def test_the_data_is_read_only() -> None:
    for name, service in _compose()["services"].items():
        for volume in service["volumes"]:
            assert volume["type"] != "bind" or volume["read_only"] is True, name


def test_everything_that_is_named_is_there() -> None:
    compose = _compose()
    made = texts()["secrets.sh"]

    for service in compose["services"].values():
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert set(service["networks"]) <= set(compose["networks"])
        assert {v["source"] for v in service["volumes"] if v["type"] == "volume" and "source" in v} <= set(
            compose["volumes"]
        )
        files_named = [value for value in service["environment"].values() if str(value).startswith("/run/secrets/")]
        assert {value.removeprefix("/run/secrets/") for value in files_named} <= set(service["secrets"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])
    for name, secret in compose["secrets"].items():
        assert secret["file"] == f"./secrets/{name}" and name in made


def test_every_variable_is_in_the_example_and_every_line_of_it_is_used() -> None:
    used = {found[0] for name in (BASE, GPU) for found in VARIABLE.findall(texts()[name])}
    lines = texts()[".env.example"].splitlines()

    assert used == {line.split("=")[0] for line in lines if line and not line.startswith("#")}


def test_the_gpu_file_changes_services_that_there_are() -> None:
    assert set(_compose(GPU)["services"]) <= set(_compose()["services"])
    assert (DEPLOY / "docker" / "Dockerfile").read_text().count("AS gpu") == 1
