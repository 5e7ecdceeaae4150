"""The TrainJob of a training, as Kubeflow Trainer v2.3 defines it.

The pods are made ``restricted`` here and not by the runtime alone, since the one that comes with
Trainer says nothing of it: a namespace that enforces it would refuse them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.shared.events import RECIPE, RUN_ID
from components.shared.files import digest_of
from components.shared.recipe.kubernetes import Mounted, Toleration
from components.shared.recipe.resources import StepResources
from components.shared.train_job import TrainJobSettings
from components.training.trainjob.naming import job_name, label_value

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
RUN_LABEL = "kubedistill.io/run-id"
SPEC_DIGEST = "kubedistill.io/spec-digest"
"""Annotation by which a step that is tried again knows its own job: what a job is stored with
differs from what was asked for, by defaults and by what queues write into it."""
NODE = "node"
"""Name that Trainer's torch runtimes give to the job, and to the container, that trains."""
_MANAGER = "kubedistill.io/training"
_KUEUE = "kueue.x-k8s.io/"
_PODSET = "kueue.x-k8s.io/podset-"
_FOLDERS = {"HOME": "/tmp", "KUBEDISTILL_CACHE_DIR": "/tmp/cache"}  # noqa: S108
"""The root file system is read-only."""


@dataclass(frozen=True)
class Owner:
    """What the job goes away with."""

    api_version: str
    kind: str
    name: str
    uid: str

    @property
    def reference(self) -> dict[str, str]:
        """As metadata have it."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
        }


def train_job(
    settings: TrainJobSettings,
    training: str,
    command: list[str],
    environment: Mapping[str, str],
    owner: Owner | None,
) -> dict[str, Any]:
    """The object to create.

    Args:
        settings: how its pods run.
        training: what is trained, unlike every other training of the run.
        command: of each pod.
        environment: plain variables of each pod; the run's and the recipe's names among them.
        owner: what the job goes away with.
    """
    spec = {
        "runtimeRef": {
            "apiGroup": GROUP,
            "kind": "TrainingRuntime",
            "name": settings.training.runtime,
        },
        "trainer": {
            "image": settings.image,
            "command": command,
            "env": _environment(settings.pods, environment),
            "numNodes": settings.training.nodes,
            "numProcPerNode": settings.processes_per_pod,
            **_optional("resourcesPerNode", _resources(settings)),
        },
        "runtimePatches": [{"manager": _MANAGER, "trainingRuntimeSpec": _patch(settings)}],
        **_optional("activeDeadlineSeconds", settings.pods.timeout_s),
    }
    run_id, recipe = environment.get(RUN_ID, ""), environment.get(RECIPE, "")
    labels = {
        "app.kubernetes.io/managed-by": "kubedistill",
        "app.kubernetes.io/part-of": "kubedistill",
        "app.kubernetes.io/component": "training",
        "kubedistill.io/step": label_value(training),
        **_optional(RUN_LABEL, run_id),
        **_optional("kubedistill.io/recipe", label_value(recipe)),
    }
    annotations = {
        key: value
        for key, value in settings.pods.pod_annotations.items()
        if key.startswith(_KUEUE) and not key.startswith(_PODSET)
    }
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": {
            "name": job_name(run_id, training),
            "labels": {**settings.pods.pod_labels, **labels},
            "annotations": {**annotations, SPEC_DIGEST: digest_of(spec)},
            **_optional("ownerReferences", [owner.reference] if owner else None),
        },
        "spec": spec,
    }


def _environment(pods: StepResources, given: Mapping[str, str]) -> list[dict[str, Any]]:
    plain = {**_FOLDERS, **pods.env, **given}
    sources = (("secretKeyRef", pods.secrets), ("configMapKeyRef", pods.config_maps))
    referred = [
        {
            "name": variable,
            "valueFrom": {
                kind: {"name": name, "key": key, **_optional("optional", mounted.optional)}
            },
        }
        for kind, objects in sources
        for name, mounted in objects.items()
        for key, variable in mounted.env.items()
    ]
    return [*({"name": name, "value": value} for name, value in plain.items()), *referred]


def _resources(settings: TrainJobSettings) -> dict[str, Any]:
    pods = settings.pods
    requests, limits = {}, {}
    for resource, amount in (("cpu", pods.cpu), ("memory", pods.memory)):
        if amount:
            requests.update(_optional(resource, amount.request))
            limits.update(_optional(resource, amount.limit))
    if pods.ephemeral_storage:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = pods.ephemeral_storage
    if pods.gpu and pods.gpu.count:
        requests[pods.gpu.resource] = limits[pods.gpu.resource] = str(pods.gpu.count)
    return {**_optional("requests", requests), **_optional("limits", limits)}


def _patch(settings: TrainJobSettings) -> dict[str, Any]:
    """What is changed of the runtime's pods."""
    pods = settings.pods
    labels = {key: text for key, text in pods.pod_labels.items() if not key.startswith(_KUEUE)}
    annotations = {
        key: text
        for key, text in pods.pod_annotations.items()
        if not key.startswith(_KUEUE) or key.startswith(_PODSET)
    }
    template = {
        "metadata": {
            "labels": {
                **labels,
                "app.kubernetes.io/name": "kubedistill",
                "app.kubernetes.io/component": "training",
            },
            **_optional("annotations", annotations),
        },
        "spec": _pod_spec(settings),
    }
    job = {"name": NODE, "template": {"spec": {"template": template}}}
    return {"template": {"spec": {"replicatedJobs": [job]}}}


def _pod_spec(settings: TrainJobSettings) -> dict[str, Any]:
    pods, volumes = settings.pods, _volumes(settings.pods)
    identity = {
        "runAsUser": pods.security_context.run_as_user,
        "runAsGroup": pods.security_context.run_as_group,
        "fsGroup": pods.security_context.run_as_group,
    }
    container = {
        "name": NODE,
        "volumeMounts": [
            {"name": name, "mountPath": path, **_optional("readOnly", "emptyDir" not in volume)}
            for name, path, volume in volumes
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "serviceAccountName": settings.service_account,
        "securityContext": {
            "runAsNonRoot": pods.security_context.run_as_non_root,
            "seccompProfile": {"type": "RuntimeDefault"},
            **{name: value for name, value in identity.items() if value is not None},
        },
        "containers": [container],
        "volumes": [{"name": name, **volume} for name, _, volume in volumes],
        **_optional("imagePullSecrets", [{"name": name} for name in settings.image_pull_secrets]),
        **_optional("nodeSelector", pods.node_selector),
        **_optional("tolerations", [_toleration(given) for given in pods.tolerations]),
        **_optional("affinity", _affinity(pods)),
    }


def _volumes(pods: StepResources) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, path and source of each; the first two are called as in our own runtime, whose volumes
    they replace."""
    memory: dict[str, Any] = {"medium": "Memory", **_optional("sizeLimit", pods.shared_memory)}
    disk = _optional("sizeLimit", pods.ephemeral_storage)
    folders: list[tuple[str, str, dict[str, Any]]] = [
        ("tmp", "/tmp", {"emptyDir": disk}),  # noqa: S108
        ("shared-memory", "/dev/shm", {"emptyDir": memory}),  # noqa: S108
    ]
    secrets = [
        (name, used.path, {"secret": _source("secretName", name, used)})
        for name, used in pods.secrets.items()
        if used.path
    ]
    maps = [
        (name, used.path, {"configMap": _source("name", name, used)})
        for name, used in pods.config_maps.items()
        if used.path
    ]
    return [*folders, *secrets, *maps]


def _source(field: str, name: str, used: Mounted) -> dict[str, Any]:
    return {field: name, **_optional("optional", used.optional)}


def _toleration(given: Toleration) -> dict[str, Any]:
    return {
        "key": given.key,
        "operator": given.operator or ("Exists" if given.value is None else "Equal"),
        **_optional("value", given.value),
        **_optional("effect", given.effect),
        **({} if given.seconds is None else {"tolerationSeconds": given.seconds}),
    }


def _affinity(pods: StepResources) -> dict[str, Any]:
    if pods.node_affinity is None:
        return {}
    needed = [_expression(found) for found in pods.node_affinity.required]
    preferred = [
        {"weight": found.weight, "preference": {"matchExpressions": [_expression(found)]}}
        for found in pods.node_affinity.preferred
    ]
    node = {
        **_optional("preferredDuringSchedulingIgnoredDuringExecution", preferred),
        **_optional(
            "requiredDuringSchedulingIgnoredDuringExecution",
            {"nodeSelectorTerms": [{"matchExpressions": needed}]} if needed else None,
        ),
    }
    return _optional("nodeAffinity", node)


def _expression(found: Any) -> dict[str, Any]:
    return {"key": found.key, "operator": found.operator, **_optional("values", found.values)}


def _optional(field: str, value: Any) -> dict[str, Any]:
    """The field, if there is something to say."""
    return {field: value} if value else {}
