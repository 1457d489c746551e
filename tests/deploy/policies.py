"""Rules that everything in deploy/ keeps; each function returns what breaks them, one line each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

PINNED = re.compile(r"[\w./-]+(?::\d+/[\w./-]+)?:(?!latest)[\w.-]*\d[\w.-]*|.+@sha256:[0-9a-f]{64}")
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$")
PASSWORD_IN_URL = re.compile(r"\w+://[^/\s:@]+:[^/\s@]+@")
LONG_SECRET = re.compile(r"\b(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_]{32,}\b")


@dataclass(frozen=True)
class Pod:
    """A pod's template, and what it stands in."""

    name: str
    labels: Mapping[str, str]
    spec: Document

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(documents: Sequence[Document]) -> Iterator[Pod]:
    """The templates of all pods that the objects make."""
    for document in documents:
        name, spec = f"{document['kind']} {document['metadata']['name']}", document.get("spec", {})
        if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield _pod(name, spec["template"])
        if document["kind"] == "RayJob" and "submitterPodTemplate" in spec:
            yield _pod(f"{name} submitter", spec["submitterPodTemplate"])
    for name, cluster in ray_clusters(documents):
        yield _pod(f"{name} head", cluster["headGroupSpec"]["template"])
        for group in cluster.get("workerGroupSpecs", ()):
            yield _pod(f"{name} {group['groupName']}", group["template"])


def ray_clusters(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Names and specs of the Ray clusters that the objects make."""
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "RayCluster":
            yield name, document["spec"]
        elif document["kind"] == "RayJob" and "rayClusterSpec" in document["spec"]:
            yield name, document["spec"]["rayClusterSpec"]


def _pod(name: str, template: Document) -> Pod:
    return Pod(name, template.get("metadata", {}).get("labels", {}), template["spec"])


def unsafe_pods(documents: Sequence[Document]) -> list[str]:
    """Root, privileges, a writable root file system, a Kubernetes token, no limits, an image that is not pinned."""
    wrong = []
    for pod in pods(documents):
        wrong += [f"{pod.name}: {text}" for text in _pod_wrongs(pod.spec)]
        for container in pod.containers:
            wrong += [f"{pod.name} {container['name']}: {text}" for text in _container_wrongs(container)]
    for name, cluster in ray_clusters(documents):
        options = cluster.get("autoscalerOptions")
        if options is not None and not _contained(options.get("securityContext", {})):
            wrong.append(f"{name} autoscaler: may gain privileges or write its root file system")
    return wrong


def _pod_wrongs(spec: Document) -> Iterator[str]:
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "runs as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a Kubernetes token"
    if not spec.get("serviceAccountName"):
        yield "runs under the default account"
    if any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the host's namespaces"
    if any("hostPath" in volume for volume in spec.get("volumes", ())):
        yield "mounts a folder of the host"


def _container_wrongs(container: Document) -> Iterator[str]:
    if not PINNED.fullmatch(container["image"]):
        yield f"image '{container['image']}' is not pinned"
    if not _contained(container.get("securityContext", {})):
        yield "may gain privileges or write its root file system"
    if not {"cpu", "memory"} <= set(container.get("resources", {}).get("limits", {})):
        yield "has no limits"


def _contained(context: Document) -> bool:
    return (
        context.get("allowPrivilegeEscalation") is False
        and context.get("readOnlyRootFilesystem") is True
        and context.get("capabilities", {}) == {"drop": ["ALL"]}
        and not context.get("privileged")
        and context.get("runAsUser") != 0
    )


def open_ports(documents: Sequence[Document]) -> list[str]:
    """Ports of containers that no policy speaks of, and what is missing of the denial of all else."""
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    wrong = [] if any(_denies_all(policy["spec"]) for policy in policies) else ["nothing denies all traffic"]
    for pod in pods(documents):
        allowed = [rule for policy in policies if _selects(policy, pod) for rule in policy["spec"].get("ingress", ())]
        for container in pod.containers:
            for port in container.get("ports", ()):
                if not any(_names(rule, port) for rule in allowed):
                    wrong.append(f"{pod.name}: no policy for port {port['containerPort']}")
    for policy in policies:
        if any(not rule.get("from") for rule in policy["spec"].get("ingress", ())):
            wrong.append(f"{policy['metadata']['name']}: lets anybody in")
    return wrong


def _denies_all(spec: Document) -> bool:
    return spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def _selects(policy: Document, pod: Pod) -> bool:
    wanted = policy["spec"]["podSelector"].get("matchLabels", {})
    return set(wanted.items()) <= set(pod.labels.items())


def _names(rule: Document, port: Document) -> bool:
    """Whether an ingress rule lets somebody to a port; a rule without ports is for all of them."""
    numbers = [entry.get("port") for entry in rule.get("ports", ())]
    return not numbers or port["containerPort"] in numbers or port.get("name") in numbers


def ray_without_token(documents: Sequence[Document]) -> list[str]:
    """Ray clusters that answer anybody."""
    return [
        f"{name}: no token authentication"
        for name, cluster in ray_clusters(documents)
        if cluster.get("authOptions", {}).get("mode") != "token"
    ]


def secret_values(documents: Sequence[Document]) -> list[str]:
    """Secrets whose values stand in the objects."""
    wrong = [f"Secret {document['metadata']['name']}" for document in documents if document["kind"] == "Secret"]
    for pod in pods(documents):
        for container in pod.containers:
            variables = {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}
            wrong += [f"{pod.name}: {text}" for text in secret_variables(variables)]
    return wrong


def secret_variables(variables: Mapping[str, Any]) -> list[str]:
    """Environment variables with a secret in them; a secret's file is none."""
    wrong = []
    for name, value in variables.items():
        is_path = name.endswith(("_FILE", "_PATH"))
        if value and SECRET_NAME.search(name) and not is_path:
            wrong.append(f"{name} holds a secret")
        if PASSWORD_IN_URL.search(str(value)):
            wrong.append(f"{name} holds a password")
    return wrong


def secret_texts(text: str) -> list[str]:
    """What looks like a secret in a file: long random words, passwords in addresses, private keys."""
    found = [word for word in LONG_SECRET.findall(text) if not word.startswith(("sha256", "contrasweep_"))]
    found += PASSWORD_IN_URL.findall(text)
    return [f"'{word[:12]}...' looks like a secret" for word in found] + re.findall("BEGIN [A-Z ]*PRIVATE KEY", text)


def unsafe_services(compose: Document) -> list[str]:
    """What a service of a compose file may do, and should not."""
    wrong = []
    for name, service in compose["services"].items():
        wrong += [f"{name}: {text}" for text in _service_wrongs(service)]
        wrong += [f"{name}: {text}" for text in secret_variables(service.get("environment", {}))]
    if not any((network or {}).get("internal") for network in compose.get("networks", {}).values()):
        wrong.append("no network is internal")
    return wrong


def _service_wrongs(service: Document) -> Iterator[str]:
    if not PINNED.fullmatch(service["image"]):
        yield f"image '{service['image']}' is not pinned"
    if not service.get("user") or re.match(r"(0|root)\b", service["user"]):
        yield "runs as root"
    if service.get("read_only") is not True:
        yield "writes its root file system"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add") or service.get("privileged"):
        yield "has privileges"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "may gain privileges"
    if "healthcheck" not in service or "restart" not in service or "mem_limit" not in service:
        yield "has no healthcheck, restart policy or memory limit"
    if any(not str(port).startswith("127.0.0.1:") for port in service.get("ports", ())):
        yield "publishes a port beyond this machine"
    if "inside" not in service.get("networks", ()):
        yield "is not on the internal network"
    command = " ".join(service.get("command", ()))
    environment = service.get("environment", {})
    if command.startswith("ray start") and not (
        environment.get("RAY_AUTH_MODE") == "token" and environment.get("RAY_AUTH_TOKEN_PATH")
    ):
        yield "starts Ray without a token"


def unsafe_dockerfile(text: str) -> list[str]:
    """Images that are not pinned, run as root, or fetch what nothing checks."""
    wrong: list[str] = []
    user: dict[str, str] = {}
    stage = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            image, _, stage = rest.partition(" AS ")
            if image not in user and not PINNED.fullmatch(image):
                wrong.append(f"FROM {image}: not pinned")
            user[stage] = user.get(image, "root")
        elif word == "USER":
            user[stage] = rest
        elif word == "ADD":
            wrong.append(f"ADD {rest}: COPY copies, and fetches nothing")
        elif word == "RUN" and re.search(r"(curl|wget)\s+\S*.*\|", rest):
            wrong.append("RUN pipes what it fetches into a program")
        elif word == "ENV":
            wrong += secret_variables(dict(part.split("=", 1) for part in rest.split() if "=" in part))
    if re.match(r"(root|0)\b", user[stage]):
        wrong.append(f"stage '{stage}' runs as root")
    return wrong
