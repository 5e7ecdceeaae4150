"""The rights of the account that runs are under: the same that manifests/base grants."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.shared.cluster import SERVICE_ACCOUNT, has_token, in_pod
from pipelines.doctor.api import KubernetesApi, NotAllowed
from pipelines.doctor.findings import Finding, Status
from pipelines.doctor.needs import PIPELINE_ACCOUNT, TRAINING_ACCOUNT, Needs

_REVIEWS = "/apis/authorization.k8s.io/v1"


@dataclass(frozen=True)
class Right:
    """Verbs on one resource."""

    group: str
    """Empty for the core API."""
    resource: str
    """With the subresource, as in ``pods/log``."""
    verbs: tuple[str, ...]
    purpose: str
    name: str = ""
    """Of the one object; empty for all."""

    def __str__(self) -> str:
        return f"{', '.join(self.verbs)} {self.resource}"


KUBEFLOW = (
    Right("", "pods", ("get",), "Kubeflow's launcher"),
    Right("", "configmaps", ("get",), "Kubeflow's settings", "kfp-launcher"),
    Right("", "secrets", ("get",), "Kubeflow's artifacts", "mlpipeline-minio-artifact"),
    Right("argoproj.io", "workflowtaskresults", ("create", "patch"), "what Argo reports"),
)
LOCK = Right("coordination.k8s.io", "leases", ("get", "create", "update"), "promotion's lock")
EVENTS = Right("", "events", ("create",), "events of promotions and rejections")
TRAINING = (
    Right(
        "trainer.kubeflow.org",
        "trainjobs",
        ("get", "list", "watch", "create", "delete"),
        "training on several nodes",
    ),
    Right("", "pods", ("get", "list"), "training on several nodes"),
    Right("", "pods/log", ("get",), "training on several nodes"),
)
SERVING = Right(
    "serving.kserve.io", "inferenceservices", ("get", "create", "patch"), "serving the champion"
)


def needed(needs: Needs) -> Iterator[tuple[Right, str | None]]:
    """The rights that a run needs, each with another namespace than its own where it is there."""
    for right in KUBEFLOW:
        yield right, None
    yield LOCK, None
    yield EVENTS, None
    if needs.recipe is None or needs.runtime is not None:
        for right in TRAINING:
            yield right, None
    if needs.kserve_namespace is not None:
        yield SERVING, needs.kserve_namespace


def check_account(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """Whether the account is there, and may do what runs do."""
    check, account = "service account", needs.account
    if account is None:
        yield Finding(
            check,
            "warning",
            "the recipe names none, so that runs are under Kubeflow's own, which is not looked at",
            f"set resources.service_account: {PIPELINE_ACCOUNT}",
        )
        return
    found = _look_for(
        api, account, check, namespace, "or name another by resources.service_account"
    )
    yield found
    if found.status == "failed":
        return
    for right, elsewhere in needed(needs):
        # A run goes on where an event cannot be written, and one without a recipe may not train so.
        needless = right is EVENTS or (needs.recipe is None and right in TRAINING)
        bad: Status = "warning" if needless else "failed"
        yield _check_right(api, account, right, namespace, elsewhere or namespace, bad)


def check_training_account(api: KubernetesApi, needs: Needs, namespace: str) -> Iterator[Finding]:
    """For training on several nodes: whether the account of a TrainJob's pods is there, without
    which none is made."""
    if needs.runtime is not None:
        check, otherwise = "service account of TrainJobs", "or train on one node"
        yield _look_for(api, TRAINING_ACCOUNT, check, namespace, otherwise)


def _look_for(
    api: KubernetesApi, account: str, check: str, namespace: str, otherwise: str
) -> Finding:
    try:
        found = api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
    except NotAllowed as error:
        return Finding(check, "unchecked", f"{account}: {error}")
    if found is None:
        said = f"there is no account {account} in the namespace {namespace}"
        return Finding(check, "failed", said, f"kubectl apply -k manifests/base, {otherwise}")
    return Finding(check, "ok", account)


def _check_right(
    api: KubernetesApi, account: str, right: Right, home: str, namespace: str, bad: Status
) -> Finding:
    check = f"right: {right.resource}"
    user = f"system:serviceaccount:{home}:{account}"
    try:
        missing = [
            verb for verb in right.verbs if not _may(api, user, home, right, verb, namespace)
        ]
    except NotAllowed:
        return Finding(
            check,
            "unchecked",
            f"whether {account} may {right} cannot be asked",
            "run this as somebody who may create subjectaccessreviews",
        )
    if not missing:
        return Finding(check, "ok", f"{account} may {right} ({right.purpose})")
    return Finding(
        check,
        bad,
        f"{account} may not {', '.join(missing)} {right.resource} in the namespace "
        f"{namespace} ({right.purpose})",
        f'bind it a Role with apiGroups ["{right.group}"], resources ["{right.resource}"], as '
        "manifests/base does",
    )


def _may(api: KubernetesApi, user: str, home: str, right: Right, verb: str, namespace: str) -> bool:
    resource, _, subresource = right.resource.partition("/")
    asked = {
        "namespace": namespace,
        "verb": verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
    }
    if own_account() == user:
        spec: dict[str, Any] = {"resourceAttributes": asked}
        kind = "SelfSubjectAccessReview"
    else:
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{home}",
            "system:authenticated",
        ]
        spec = {"resourceAttributes": asked, "user": user, "groups": groups}
        kind = "SubjectAccessReview"
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    answer = api.review(f"{_REVIEWS}/{kind.lower()}s", body)
    return bool(answer["status"]["allowed"])


def own_account() -> str | None:
    """The account of the pod around this process, as its token names it; null outside of one."""
    import base64
    import json

    if not (in_pod() and has_token()):
        return None
    payload = (SERVICE_ACCOUNT / "token").read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["sub"])
