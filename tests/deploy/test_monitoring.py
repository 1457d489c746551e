"""Alerts and panels name measures, states and parts that the service has."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from contrasweep.services.records.answers import State
from contrasweep.services.service.measures import Measures
from contrasweep.services.service.sweeps import Service
from contrasweep.services.settings import Settings
from tests.deploy.shipped import texts
from tests.services.service.processes import Processes

OURS = re.compile(r"\bcontrasweep_\w+")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all series that a service tells."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, data_roots=(home,), jobs_address="http://head:8265")
    measures = Measures(Service(settings, Processes(settings, 1.0)))
    measures.answered("GET", "/sweeps", 200, 0.1)
    families = text_string_to_metric_families(measures.text().decode())
    return {name for family in families for name in (family.name, *(sample.name for sample in family.samples))}


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(texts()["prometheus/alerts.yml"])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(texts()["grafana/dashboards/contrasweep.json"])
    return dashboard


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in _rules())
    yield from (target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"])


def test_every_measure_that_is_named_exists(measured: set[str]) -> None:
    named = {name for expression in _expressions() for name in OURS.findall(expression)}

    assert named and named <= measured, named - measured
    assert "contrasweep_queue_lengths" not in measured


def test_every_measure_of_the_queue_and_the_sweeps_is_shown(measured: set[str]) -> None:
    shown = " ".join(target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"])

    for name in ("contrasweep_sweeps", "contrasweep_queue_length", "contrasweep_gpu_hours", "contrasweep_missing"):
        assert name in measured and name in shown


def test_states_that_are_named_exist() -> None:
    named = {state for expression in _expressions() for state in re.findall(r'state="(\w+)"', expression)}

    assert named and named <= set(get_args(State))


def test_every_alert_says_what_is_wrong() -> None:
    alerts = [rule["alert"] for rule in _rules()]

    assert len(set(alerts)) == len(alerts)
    assert {"ServiceDown", "QueueStuck", "QueueWaitsLong", "SweepFailed", "DiskFull"} <= set(alerts)
    for rule in _rules():
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning")


def test_scrapes_carry_a_token_from_a_file() -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(texts()["prometheus/prometheus.yml"])["scrape_configs"]}

    assert all("credentials_file" in jobs[name]["authorization"] for name in ("contrasweep", "ray"))
    assert f'job="{"contrasweep"}"' in " ".join(_expressions())


def test_panels_have_names_places_and_the_provisioned_source() -> None:
    panels = _dashboard()["panels"]
    [source] = yaml.safe_load(texts()["grafana/provisioning/datasources/prometheus.yaml"])["datasources"]

    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
