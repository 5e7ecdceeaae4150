"""What may be installed in a cluster beside Kubernetes: Kubeflow Trainer and Kueue."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding, Status
from pipelines.doctor.needs import Needs

_TRAINER = "trainer.kubeflow.org"
_TRAINER_VERSION = "v1alpha1"
_DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainjobs.{_TRAINER}"
_SINCE_2_2 = ("runtimePatches", "activeDeadlineSeconds")
"""Fields of a TrainJob that kubedistill sets and older versions do not know."""
_INSTALL_TRAINER = "install Kubeflow Trainer 2.2 or later, or train on one node"
_KUEUE = "kueue.x-k8s.io"


def check_trainer(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """For training on several nodes: the version of TrainJob, and the runtime that is named."""
    if needs.recipe is not None and needs.runtime is None:
        return
    bad: Status = "warning" if needs.recipe is None else "failed"
    found = _check_version(api, bad)
    yield found
    if found.status in ("ok", "unchecked") and needs.runtime is not None:
        yield _check_runtime(api, needs.runtime, namespace)


def _check_version(api: KubernetesApi, bad: Status) -> Finding:
    try:
        versions = _versions(api, _TRAINER)
    except NotAllowed as error:
        return Finding("trainer", "unchecked", str(error))
    if not versions:
        return Finding("trainer", bad, "Kubeflow Trainer is not installed", _INSTALL_TRAINER)
    if _TRAINER_VERSION not in versions:
        served = ", ".join(versions)
        said = f"TrainJob is served as {served}, and kubedistill makes {_TRAINER_VERSION}"
        return Finding("trainer", bad, said, _INSTALL_TRAINER)
    return _check_fields(api, bad)


def _check_fields(api: KubernetesApi, bad: Status) -> Finding:
    """Which version of Trainer it is: all of them serve the same version of TrainJob."""
    serves = f"serves {_TRAINER}/{_TRAINER_VERSION}"
    try:
        definition = api.get(_DEFINITION) or {}
    except NotAllowed as error:
        advice = "run this as somebody who may get customresourcedefinitions"
        said = f"{serves}; whether it is Trainer 2.2 or later is not to be seen: {error}"
        return Finding("trainer", "unchecked", said, advice)
    missing = missing_fields(definition)
    if missing:
        said = f"its TrainJob has no {', '.join(missing)}: it is older than Trainer 2.2"
        return Finding("trainer", bad, said, _INSTALL_TRAINER)
    return Finding("trainer", "ok", serves)


def missing_fields(definition: Mapping[str, Any]) -> list[str]:
    """What a definition of TrainJobs lacks of the fields that kubedistill sets.

    Args:
        definition: the CustomResourceDefinition; empty where there is none.
    """
    versions = definition.get("spec", {}).get("versions", [])
    schemas = [one["schema"] for one in versions if one["name"] == _TRAINER_VERSION]
    properties = schemas[0]["openAPIV3Schema"].get("properties", {}) if schemas else {}
    known = properties.get("spec", {}).get("properties", {})
    return [field for field in _SINCE_2_2 if field not in known]


def _check_runtime(api: KubernetesApi, name: str, namespace: str) -> Finding:
    check = f"runtime: {name}"
    folder = f"/apis/{_TRAINER}/{_TRAINER_VERSION}/namespaces/{namespace}"
    try:
        found = api.get(f"{folder}/trainingruntimes/{name}")
    except NotAllowed as error:
        return Finding(check, "unchecked", str(error))
    if found is None:
        return Finding(
            check,
            "failed",
            f"there is no TrainingRuntime {name} in the namespace {namespace}",
            "make it as the manifests do, or name one of `kubectl get trainingruntimes`",
        )
    return Finding(check, "ok", "is a TrainingRuntime")


def check_queues(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """For pods with the label of a queue: Kueue, and its LocalQueue."""
    if not needs.queues:
        return
    try:
        versions = _versions(api, _KUEUE)
    except NotAllowed as error:
        yield Finding("queue", "unchecked", str(error))
        return
    if not versions:
        yield Finding(
            "queue",
            "failed",
            "pods are labelled for a queue, but Kueue is not installed",
            "install Kueue, or take the label out of pod_labels",
        )
        return
    for name in needs.queues:
        yield _check_queue(api, name, versions[0], namespace)


def _check_queue(api: KubernetesApi, name: str, version: str, namespace: str) -> Finding:
    check = f"queue: {name}"
    try:
        found = api.get(f"/apis/{_KUEUE}/{version}/namespaces/{namespace}/localqueues/{name}")
    except NotAllowed as error:
        return Finding(check, "unchecked", str(error))
    if found is None:
        return Finding(
            check,
            "failed",
            f"there is no LocalQueue {name} in the namespace {namespace}",
            "make it, or name one of `kubectl get localqueues` in pod_labels",
        )
    conditions = {one["type"]: one for one in found.get("status", {}).get("conditions") or []}
    active = conditions.get("Active")
    if active is not None and active["status"] != "True":
        said = f"is not active: {active.get('message') or active.get('reason')}"
        return Finding(check, "failed", said, "look at the ClusterQueue that it names")
    return Finding(check, "ok", "is there" if active is None else "is active")


def _versions(api: KubernetesApi, group: str) -> list[str]:
    """The versions of a group that the API serves, the preferred one first.

    Raises:
        NotAllowed: a cluster may refuse even that, which every account may ask by default.
    """
    found = api.get(f"/apis/{group}")
    if found is None:
        return []
    preferred = found["preferredVersion"]["version"]
    others = [one["version"] for one in found["versions"] if one["version"] != preferred]
    return [preferred, *others]
