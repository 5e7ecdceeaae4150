"""What may be installed in a cluster beside Kubernetes: Kubeflow Trainer and Kueue."""

from collections.abc import Iterator

from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding, Status
from pipelines.doctor.needs import Needs

_TRAINER = "trainer.kubeflow.org"
_TRAINER_VERSION = "v1alpha1"
_KUEUE = "kueue.x-k8s.io"


def check_trainer(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """For training on several nodes: the version of TrainJob, and the runtime that is named."""
    if needs.recipe is not None and needs.runtime is None:
        return
    versions = _versions(api, _TRAINER)
    bad: Status = "warning" if needs.recipe is None else "failed"
    install = "install Kubeflow Trainer 2.1 or later, or train on one node"
    if not versions:
        yield Finding("trainer", bad, "Kubeflow Trainer is not installed", install)
        return
    if _TRAINER_VERSION not in versions:
        served = ", ".join(versions)
        said = f"TrainJob is served as {served}, and kubedistill makes {_TRAINER_VERSION}"
        yield Finding("trainer", bad, said, install)
        return
    yield Finding("trainer", "ok", f"serves {_TRAINER}/{_TRAINER_VERSION}")
    if needs.runtime is not None:
        yield _check_runtime(api, needs.runtime, namespace)


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
    versions = _versions(api, _KUEUE)
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
    """The versions of a group that the API serves, the preferred one first; every account may
    ask."""
    found = api.get(f"/apis/{group}")
    if found is None:
        return []
    preferred = found["preferredVersion"]["version"]
    others = [one["version"] for one in found["versions"] if one["version"] != preferred]
    return [preferred, *others]
