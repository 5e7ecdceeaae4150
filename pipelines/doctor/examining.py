"""All checks, in the order in which one stands on the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.shared.cluster import NoCluster, in_pod
from pipelines.doctor.addons import check_queues, check_trainer
from pipelines.doctor.api import KubernetesApi, NoAnswer, connect
from pipelines.doctor.cluster import check_namespace, check_version
from pipelines.doctor.findings import Finding
from pipelines.doctor.gpus import check_gpus
from pipelines.doctor.keyed import check_keyed
from pipelines.doctor.kubeflow import check_kubeflow
from pipelines.doctor.needs import NAMESPACE, Needs
from pipelines.doctor.rights import check_account, check_training_account
from pipelines.doctor.storing import check_data, check_storage
from pipelines.doctor.tracking import check_mlflow


@dataclass(frozen=True)
class Surroundings:
    """What the command line says of where things are; null where the environment is asked."""

    namespace: str | None = None
    tracking_uri: str | None = None
    endpoint: str | None = None


def examine(needs: Needs, where: Surroundings) -> Iterator[Finding]:
    """Look at everything that a run needs; each finding as soon as it is there.

    Raises:
        UserError: an option is wrong.
    """
    yield from _cluster(needs, where.namespace)
    yield from check_data(needs)
    yield from check_storage(needs)
    yield from check_mlflow(needs, where.tracking_uri)
    yield from check_kubeflow(where.endpoint, where.namespace)
    yield Finding(
        "images",
        "unchecked",
        "whether nodes can pull them shows when the first pod starts",
        "kubectl run with an image of a step, on a GPU node too",
    )


def standpoint() -> str:
    """Where this process is, and what that means for what it finds."""
    if in_pod():
        return (
            "seen from a pod: network and credentials are this pod's, and those of steps may "
            "differ by network policies and secrets"
        )
    return (
        "seen from outside of the cluster: S3, MLflow and Kubeflow are reached over this machine's "
        "network and with its credentials, which need not be those of pods"
    )


def _cluster(needs: Needs, chosen: str | None) -> Iterator[Finding]:
    try:
        api, own = connect()
    except NoCluster as error:
        yield Finding("kubernetes", "failed", str(error))
        return
    namespace = chosen or (own if in_pod() and own else NAMESPACE)
    try:
        yield from _with_api(api, needs, namespace)
    except NoAnswer as error:
        advice = "check the kubeconfig's context, and that the API can be reached from here"
        yield Finding("kubernetes", "failed", f"{api.server}: {error}", advice)


def _with_api(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    yield check_version(api)
    there = list(check_namespace(api, namespace))
    yield from there
    if there[0].status != "failed":
        yield from check_account(api, needs, namespace)
        yield from check_training_account(api, needs, namespace)
        yield from check_keyed(api, needs, namespace)
        yield from check_queues(api, needs, namespace)
    yield from check_gpus(api, needs)
    yield from check_trainer(api, needs, namespace)
