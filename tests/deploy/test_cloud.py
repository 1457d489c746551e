"""The `ray up` file, by Ray's own check."""

from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.deploy.policies import PINNED
from tests.deploy.shipped import texts


def _config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(texts()["cloud/aws.yaml"])
    return config


def test_ray_accepts_it() -> None:
    validate_config(prepare_config(_config()))


@pytest.mark.parametrize("change", [{"max_worker": 3}, {"max_workers": "many"}, {"head_node_type": "nobody"}])
def test_ray_refuses_what_it_does_not_know(change: dict[str, Any]) -> None:
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        validate_config(prepare_config(_config() | change))


def test_every_node_starts_with_a_token_and_the_dashboard_listens_on_loopback() -> None:
    config = _config()

    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        [start] = [command for command in commands if "ray start" in command]
        assert "RAY_AUTH_MODE=token" in start and "RAY_AUTH_TOKEN_PATH=" in start
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    assert config["provider"]["use_internal_ips"] is True


def test_containers_are_pinned_and_not_root() -> None:
    docker = _config()["docker"]

    assert PINNED.fullmatch(docker["image"])
    assert "--user 10001:10001" in docker["run_options"] and "--cap-drop ALL" in docker["run_options"]


def test_workers_are_spot_and_disks_encrypted() -> None:
    types = _config()["available_node_types"]

    assert types["gpu-spot"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    for kind in types.values():
        assert all(disk["Ebs"]["Encrypted"] for disk in kind["node_config"]["BlockDeviceMappings"])
        assert kind["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
