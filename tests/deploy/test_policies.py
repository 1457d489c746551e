"""The rules themselves: each is broken by a small bad example, and kept by a good one."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.policies import (
    Document,
    open_ports,
    ray_without_token,
    secret_texts,
    secret_values,
    unsafe_dockerfile,
    unsafe_pods,
    unsafe_services,
)

POD: Document = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "serviceAccountName": "web",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "web",
                "image": "registry.example.org:5000/team/web:1.2.3",
                "ports": [{"name": "http", "containerPort": 80}],
                "env": [{"name": "PASSWORD_FILE", "value": "/run/secrets/password"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
DEPLOYMENT: Document = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": POD}}
DENY: Document = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
ALLOW: Document = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "web"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "web"}},
        "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}],
    },
}
SERVICE: Document = {
    "image": "web:1.2.3",
    "user": "10001:10001",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "healthcheck": {},
    "restart": "always",
    "mem_limit": "1g",
    "ports": ["127.0.0.1:80:80"],
    "networks": ["inside"],
    "command": ["ray", "start", "--head"],
    "environment": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/run/secrets/token"},
}
DOCKERFILE = """FROM python:3.11.13 AS build
RUN pip install \\
    wheel
FROM python:3.11.13
COPY --from=build /a /a
USER 10001:10001
"""


def _changed(document: Document, path: str, value: Any) -> Document:
    """A copy with `value` at a path such as spec.containers.0.image."""
    changed = copy.deepcopy(document)
    place: Any = changed
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        place = place[part]
    place[last] = value
    return changed


def test_the_good_examples_keep_every_rule() -> None:
    documents = [DEPLOYMENT, DENY, ALLOW]

    for rule in (unsafe_pods, open_ports, ray_without_token, secret_values):
        assert rule(documents) == []
    assert unsafe_services({"services": {"web": SERVICE}, "networks": {"inside": {"internal": True}}}) == []
    assert unsafe_dockerfile(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("spec.securityContext.runAsNonRoot", False, "runs as root"),
        ("spec.securityContext.runAsUser", 0, "runs as root"),
        ("spec.securityContext.seccompProfile", {}, "seccomp"),
        ("spec.automountServiceAccountToken", True, "Kubernetes token"),
        ("spec.serviceAccountName", "", "default account"),
        ("spec.hostNetwork", True, "host's namespaces"),
        ("spec.volumes", [{"name": "a", "hostPath": {"path": "/"}}], "folder of the host"),
        ("spec.containers.0.image", "web:latest", "not pinned"),
        ("spec.containers.0.image", "web", "not pinned"),
        ("spec.containers.0.image", "localhost:5000/web", "not pinned"),
        ("spec.containers.0.resources", {}, "no limits"),
        ("spec.containers.0.securityContext.privileged", True, "privileges"),
        ("spec.containers.0.securityContext.readOnlyRootFilesystem", False, "root file system"),
        ("spec.containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "privileges"),
        ("spec.containers.0.securityContext.runAsUser", 0, "privileges"),
    ],
)
def test_an_unsafe_pod_is_found(path: str, value: Any, wrong: str) -> None:
    deployment = _changed(DEPLOYMENT, f"spec.template.{path}", value)
    worker = _changed(POD, path, value)
    head: Document = {"headGroupSpec": {"template": POD}, "workerGroupSpecs": [{"groupName": "g", "template": worker}]}
    job = {"kind": "RayJob", "metadata": {"name": "j"}, "spec": {"rayClusterSpec": head}}

    for document in (deployment, job):
        assert len(unsafe_pods([document])) == 1
        assert wrong in unsafe_pods([document])[0]


@pytest.mark.parametrize(
    ("documents", "wrong"),
    [
        ([DEPLOYMENT, ALLOW], "nothing denies"),
        ([DEPLOYMENT, DENY], "no policy for port 80"),
        ([DEPLOYMENT, DENY, _changed(ALLOW, "spec.podSelector.matchLabels.app", "other")], "no policy for port 80"),
        ([DEPLOYMENT, DENY, _changed(ALLOW, "spec.ingress.0.ports", [{"port": 81}])], "no policy for port 80"),
        ([DEPLOYMENT, DENY, _changed(ALLOW, "spec.ingress.0.from", [])], "lets anybody in"),
    ],
)
def test_an_open_port_is_found(documents: list[Document], wrong: str) -> None:
    assert any(wrong in line for line in open_ports(documents))


@pytest.mark.parametrize("options", [{}, {"authOptions": {}}, {"authOptions": {"mode": "disabled"}}])
def test_ray_without_a_token_is_found(options: Document) -> None:
    cluster = {"headGroupSpec": {"template": POD}} | options

    assert ray_without_token([{"kind": "RayCluster", "metadata": {"name": "c"}, "spec": cluster}])
    assert ray_without_token([{"kind": "RayJob", "metadata": {"name": "j"}, "spec": {"rayClusterSpec": cluster}}])


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_PASSWORD", "hunter2"), ("RAY_AUTH_TOKEN", "abc"), ("SIGNING_KEY", "abc"), ("URL", "postgresql://a:b@c/d")],
)
def test_a_secret_in_the_environment_is_found(name: str, value: str) -> None:
    pod = _changed(DEPLOYMENT, "spec.template.spec.containers.0.env", [{"name": name, "value": value}])
    service = SERVICE | {"environment": SERVICE["environment"] | {name: value}}

    assert secret_values([pod])
    assert unsafe_services({"services": {"web": service}, "networks": {"inside": {"internal": True}}})
    assert unsafe_dockerfile(DOCKERFILE + f"ENV {name}={value}\n")


def test_a_secret_in_a_text_is_found() -> None:
    assert secret_values([{"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}])
    assert secret_texts("token: 0123456789abcdef0123456789abcdef")
    assert secret_texts("-----BEGIN RSA PRIVATE KEY-----")
    assert secret_texts("url: postgresql://a:b@c/d")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"image": "web"}, "not pinned"),
        ({"user": "root"}, "runs as root"),
        ({"user": "0:0"}, "runs as root"),
        ({"user": ""}, "runs as root"),
        ({"read_only": False}, "root file system"),
        ({"cap_drop": []}, "has privileges"),
        ({"privileged": True}, "has privileges"),
        ({"security_opt": []}, "may gain"),
        ({"mem_limit": None, "ports": ["80:80"]}, "beyond this machine"),
        ({"ports": ["0.0.0.0:80:80"]}, "beyond this machine"),
        ({"networks": ["outside"]}, "internal network"),
        ({"environment": {"RAY_AUTH_MODE": "token"}}, "without a token"),
        ({"environment": {}}, "without a token"),
    ],
)
def test_an_unsafe_service_is_found(changes: Document, wrong: str) -> None:
    compose = {"services": {"web": SERVICE | changes}, "networks": {"inside": {"internal": True}}}

    assert any(wrong in line for line in unsafe_services(compose))


def test_a_compose_file_without_an_internal_network_is_found() -> None:
    assert unsafe_services({"services": {"web": SERVICE}, "networks": {"inside": None}})


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("python:3.11.13", "python:latest"),
        lambda text: text.replace("python:3.11.13", "python"),
        lambda text: text.replace("USER 10001:10001\n", ""),
        lambda text: text.replace("10001:10001", "root"),
        lambda text: text + "ADD https://example.org/a /a\n",
        lambda text: text + "RUN curl https://example.org/a | sh\n",
        lambda text: text + "USER 0\n",
    ],
)
def test_an_unsafe_dockerfile_is_found(change: Callable[[str], str]) -> None:
    assert unsafe_dockerfile(change(DOCKERFILE))
