"""The manifests: by Kubernetes' schemas, by what KubeRay takes, and by our own rules."""

import shlex
from collections.abc import Callable
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import load_spec
from contrasweep.services.verbs import driver
from tests.deploy.kuberay_facts import SPECS, refused_by_operator, schema
from tests.deploy.policies import (
    Document,
    open_ports,
    pods,
    ray_clusters,
    ray_without_token,
    secret_values,
    unsafe_pods,
)
from tests.deploy.shipped import KUBERAY, objects

VERSION = "1.31"


def _check(document: Document) -> None:
    """By the schema of its kind; the pod templates of Ray's kinds as pods."""
    if document["kind"] not in SPECS:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    jsonschema.validate(document, schema(document["kind"]))
    for pod in pods([document]):
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod.spec}
        kubernetes_validate.validate(whole, VERSION, strict=True)


@pytest.mark.parametrize(
    "document", objects(), ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_every_object_is_what_its_schema_says(document: Document) -> None:
    _check(document)
    assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "contrasweep"


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "replica"), 1),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "http"),
        ("RayCluster", ("spec", "authOption"), {"mode": "token"}),
        ("RayCluster", ("spec", "authOptions", "mode"), "Token"),
        ("RayCluster", ("spec", "workerGroupSpecs", 0, "minReplica"), 1),
        ("RayCluster", ("spec", "headGroupSpec", "rayStartParams"), {"num-cpus": 1}),
        ("RayCluster", ("spec", "headGroupSpec", "template", "spec", "container"), []),
        ("RayJob", ("spec", "submissionMode"), "Job"),
        ("RayJob", ("spec", "retries"), 3),
        ("NetworkPolicy", ("spec", "ingres"), []),
    ],
)
def test_a_field_that_is_not_there_is_refused(kind: str, path: tuple[str | int, ...], value: Any) -> None:
    document = next(document for document in objects() if document["kind"] == kind)
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value

    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        _check(document)


@pytest.mark.parametrize("rule", [unsafe_pods, open_ports, ray_without_token, secret_values])
def test_the_manifests_keep_the_rules(rule: Callable[[list[Document]], list[str]]) -> None:
    assert rule(objects()) == []
    assert sum(1 for _ in pods(objects())) == 8


def test_kuberay_accepts_the_clusters() -> None:
    found = dict(ray_clusters(objects()))

    assert list(found) == ["RayCluster contrasweep", "RayJob single-sweep"]
    assert [refused_by_operator(cluster) for cluster in found.values()] == [[], []]


def test_what_kuberay_refuses_is_noticed() -> None:
    cluster = dict(ray_clusters(objects()))["RayCluster contrasweep"]
    cluster["rayVersion"] = "2.51.0"
    cluster["headGroupSpec"]["template"]["spec"]["restartPolicy"] = "Always"
    cluster["workerGroupSpecs"][0]["minReplicas"] = 9

    assert len(refused_by_operator(cluster)) == 3


def test_one_service_at_a_time_drives_the_queue() -> None:
    deployment = _named("Deployment", "service")["spec"]

    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate")


def test_only_the_autoscaler_gets_a_kubernetes_token() -> None:
    spec = _named("RayCluster", "contrasweep")["spec"]
    template = spec["headGroupSpec"]["template"]["spec"]
    [volume] = [volume["name"] for volume in template["volumes"] if "projected" in volume]

    assert volume in {mount["name"] for mount in spec["autoscalerOptions"]["volumeMounts"]}
    mounts = [mount for container in _containers(template) for mount in container["volumeMounts"]]
    assert volume not in {mount["name"] for mount in mounts}


def test_everything_that_is_mounted_named_or_claimed_is_there() -> None:
    accounts = {document["metadata"]["name"] for document in objects() if document["kind"] == "ServiceAccount"}
    claims = {document["metadata"]["name"] for document in objects() if document["kind"] == "PersistentVolumeClaim"}
    for pod in pods(objects()):
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        mounted = {mount["name"] for container in pod.containers for mount in container["volumeMounts"]}
        claimed = {v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v}

        assert mounted <= set(volumes), pod.name
        assert claimed <= claims, pod.name
        assert pod.spec["serviceAccountName"] in accounts, pod.name


def test_a_kustomization_lists_every_file_beside_it() -> None:
    for path in KUBERAY.rglob("kustomization.yaml"):
        listed = yaml.safe_load(path.read_text())
        made = [name for maker in listed.get("configMapGenerator", ()) for name in maker["files"]]
        there = {file.name for file in path.parent.glob("*.yaml")} - {"kustomization.yaml"}

        assert {*listed["resources"], *made} == there


def test_the_single_sweep_runs_the_driver_on_a_valid_study() -> None:
    spec = _named("RayJob", "single-sweep")["spec"]
    python, module, name, *arguments = shlex.split(spec["entrypoint"])
    context = typer.main.get_command(driver.app).make_context("driver", arguments)

    assert (python, module, name) == ("python", "-m", "contrasweep.services.verbs.driver")
    command = context.command.get_command(context, arguments[0])  # type: ignore[attr-defined]
    given = command.make_context("run", arguments[1:]).params
    assert str(given["spec"]) == "/opt/study/study.yaml" and str(given["base"]) == "/data"
    check_spec(load_spec(KUBERAY / "single-sweep" / "study.yaml"))


def _named(kind: str, name: str) -> Document:
    return next(d for d in objects() if (d["kind"], d["metadata"]["name"]) == (kind, name))


def _containers(spec: Document) -> list[Document]:
    return [*spec.get("initContainers", ()), *spec["containers"]]
