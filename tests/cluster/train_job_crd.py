"""The part of Trainer's own definition of a TrainJob (v2.3) that is used here: other fields are
dropped, and values of another type refused."""

from typing import Any

from components.training.trainjob.manifest import GROUP, PLURAL, VERSION
from tests.cluster.definitions import definition

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "format": "int32"}
FLAG = {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def fields(*required: str, **properties: Any) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed}


def many(items: dict[str, Any], *keys: str) -> dict[str, Any]:
    as_map = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    return {"type": "array", "items": items, **(as_map if keys else {})}


AMOUNTS = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
    },
}
KEY = fields("key", name=TEXT, key=TEXT, optional=FLAG)
VARIABLE = fields(
    "name", name=TEXT, value=TEXT, valueFrom=fields(secretKeyRef=KEY, configMapKeyRef=KEY)
)
TRAINER = fields(
    image=TEXT,
    command=many(TEXT),
    env=many(VARIABLE, "name"),
    numNodes={**NUMBER, "minimum": 0},
    numProcPerNode={**NUMBER, "minimum": 1},
    resourcesPerNode=fields(requests=AMOUNTS, limits=AMOUNTS),
)
TOLERATION = fields(
    key=TEXT,
    operator=TEXT,
    value=TEXT,
    effect=TEXT,
    tolerationSeconds={"type": "integer", "format": "int64"},
)
VOLUME = fields(
    "name",
    name=TEXT,
    emptyDir=fields(medium=TEXT, sizeLimit=TEXT),
    secret=fields(secretName=TEXT, optional=FLAG),
    configMap=fields(name=TEXT, optional=FLAG),
)
CONTAINER = fields(
    "name",
    name=TEXT,
    volumeMounts=many(
        fields("name", "mountPath", name=TEXT, mountPath=TEXT, readOnly=FLAG), "name"
    ),
    securityContext=ANYTHING,
)
POD = fields(
    serviceAccountName=TEXT,
    securityContext=ANYTHING,
    containers=many(CONTAINER, "name"),
    volumes=many(VOLUME, "name"),
    imagePullSecrets=many(fields("name", name=TEXT), "name"),
    nodeSelector=TEXTS,
    tolerations=many(TOLERATION),
    affinity=ANYTHING,
)
LABELS = fields(labels=TEXTS, annotations=TEXTS)
POD_TEMPLATE = fields(metadata=LABELS, spec=POD)
JOB = fields("name", name=TEXT, template=fields(spec=fields(template=POD_TEMPLATE)))
PATCH = fields(
    "manager",
    manager={**TEXT, "minLength": 1, "maxLength": 253},
    trainingRuntimeSpec=fields(template=fields(spec=fields(replicatedJobs=many(JOB, "name")))),
)
SPEC = fields(
    "runtimeRef",
    runtimeRef=fields("name", name=TEXT, apiGroup=TEXT, kind=TEXT),
    trainer=TRAINER,
    runtimePatches=many(PATCH, "manager"),
    suspend={**FLAG, "default": False},
    activeDeadlineSeconds={"type": "integer", "format": "int64", "minimum": 1},
    managedBy={**TEXT, "default": "trainer.kubeflow.org/trainjob-controller"},
)
CONDITION = fields(
    *("type", "status", "lastTransitionTime", "reason", "message"),
    type=TEXT,
    status={"type": "string", "enum": ["True", "False", "Unknown"]},
    lastTransitionTime={"type": "string", "format": "date-time"},
    reason={"type": "string", "minLength": 1},
    message=TEXT,
)
COUNTS = ("ready", "succeeded", "failed", "active", "suspended")
JOB_STATUS = fields("name", *COUNTS, name=TEXT, **dict.fromkeys(COUNTS, NUMBER))
STATUS = fields(conditions=many(CONDITION, "type"), jobsStatus=many(JOB_STATUS, "name"))
DEFINITION = definition(
    GROUP, VERSION, PLURAL, "TrainJob", fields(spec=SPEC, status=STATUS), status=True
)
