"""What KubeRay 1.6.2 takes in a RayCluster and a RayJob: the fields at each level, written down from its types.

`schema(kind)` is that as JSON schema. Pod templates are left open here: Kubernetes' own schemas check them.
"""

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
YES_NO: dict[str, Any] = {"type": "boolean"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
AMOUNT: dict[str, Any] = {"type": "number", "minimum": 0}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
OPEN: dict[str, Any] = {"type": "object"}
LIST: dict[str, Any] = {"type": "array"}


def _one_of(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def _fields(required: tuple[str, ...] = (), /, **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


_REDIS = _fields(value=TEXT, valueFrom=OPEN)

AUTOSCALER = _fields(
    resources=OPEN,
    image=TEXT,
    imagePullPolicy=TEXT,
    securityContext=OPEN,
    idleTimeoutSeconds=COUNT,
    upscalingMode=_one_of("Default", "Aggressive", "Conservative"),
    version=_one_of("v1", "v2"),
    env=LIST,
    envFrom=LIST,
    volumeMounts=LIST,
)

HEAD = _fields(
    ("template",),
    template=OPEN,
    headService=OPEN,
    enableIngress=YES_NO,
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
    serviceType=TEXT,
)

WORKERS = _fields(
    ("groupName", "maxReplicas", "minReplicas", "template"),
    suspend=YES_NO,
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    idleTimeoutSeconds=COUNT,
    resources=TEXTS,
    labels=TEXTS,
    rayStartParams=TEXTS,
    template=OPEN,
    scaleStrategy=_fields(workersToDelete=LIST),
    numOfHosts=COUNT,
)

CLUSTER = _fields(
    ("headGroupSpec",),
    upgradeStrategy=_fields(type=_one_of("Recreate", "None")),
    authOptions=_fields(enableK8sTokenAuth=YES_NO, secretName=TEXT, mode=_one_of("disabled", "token")),
    suspend=YES_NO,
    managedBy=_one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"),
    autoscalerOptions=AUTOSCALER,
    headServiceAnnotations=TEXTS,
    enableInTreeAutoscaling=YES_NO,
    gcsFaultToleranceOptions=_fields(
        ("redisAddress",),
        redisUsername=_REDIS,
        redisPassword=_REDIS,
        externalStorageNamespace=TEXT,
        redisAddress=TEXT,
    ),
    headGroupSpec=HEAD,
    rayVersion=TEXT,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)

JOB = _fields(
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER,
    submitterPodTemplate=OPEN,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=_fields(backoffLimit=COUNT),
    managedBy=TEXT,
    deletionStrategy=OPEN,
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    jobId=TEXT,
    submissionMode=_one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    entrypointResources=TEXT,
    entrypointNumCpus=AMOUNT,
    entrypointNumGpus=AMOUNT,
    ttlSecondsAfterFinished=COUNT,
    preRunningDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes=YES_NO,
    suspend=YES_NO,
)

SPECS = {"RayCluster": CLUSTER, "RayJob": JOB}


def schema(kind: str) -> dict[str, Any]:
    """JSON schema of a whole object of `kind`."""
    return _fields(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=_one_of("ray.io/v1"),
        kind=_one_of(kind),
        metadata=OPEN,
        spec=SPECS[kind],
    )


def refused_by_operator(cluster: dict[str, Any]) -> list[str]:
    """What the operator, not the schema, refuses in the spec of a cluster."""
    wrong = []
    version = tuple(int(part) for part in cluster.get("rayVersion", "0.0.0").split("."))
    if cluster.get("authOptions", {}).get("mode") == "token" and version < (2, 52, 0):
        wrong.append("token authentication needs rayVersion 2.52.0 or newer")
    pods = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])]
    if cluster.get("autoscalerOptions", {}).get("version") == "v2":
        policies = {group["template"]["spec"].get("restartPolicy", "Never") for group in pods}
        if policies != {"Never"}:
            wrong.append("autoscaler v2 allows no restartPolicy but Never")
    for group in cluster.get("workerGroupSpecs", []):
        if group["minReplicas"] > group["maxReplicas"]:
            wrong.append(f"{group['groupName']}: minReplicas is above maxReplicas")
    return wrong
